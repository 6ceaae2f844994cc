import { type Static, Type } from '@sinclair/typebox'

const at = (description: string) => Type.String({ format: 'date-time', description })

/** Usage of a budget in its current window, with a projection. */
export const BudgetStatusSchema = Type.Object({
  spent: Type.Number({ description: 'Spent in the current window, in the unit of the budget.' }),
  left: Type.Number({ description: 'Remaining until the limit; 0 when it is used up.' }),
  window_start: at('When the current window began.'),
  window_end: at(
    'When the next window begins; for a rolling window, when its oldest 15 minutes stop counting.',
  ),
  resets_at: at('When requests would be accepted again if the budget were used up now.'),
  projected: Type.Number({
    description:
      'Projected usage at the end of the window, at the rate of its last quarter or since its start. For a rolling window: usage of a whole window at this rate.',
  }),
  used_up_at: Type.Union([at('When the limit is reached at the current rate.'), Type.Null()], {
    description:
      'When the limit is reached at the current rate; null: not in this window, or already reached.',
  }),
  step_seconds: Type.Integer({ description: 'Length of a step of `steps`.' }),
  steps: Type.Array(Type.Number(), {
    description: 'Amount spent in each step since the window began; the last step is still running.',
  }),
})
export type BudgetStatus = Static<typeof BudgetStatusSchema>
