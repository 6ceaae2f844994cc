import { type Static, Type } from '@sinclair/typebox'

const at = (description: string) => Type.String({ format: 'date-time', description })

/** How much of a budget was spent in its present window, and where that leads. */
export const BudgetStandingSchema = Type.Object({
  spent: Type.Number({ description: 'In the present window, in its unit.' }),
  left: Type.Number({ description: 'Until the limit; 0 when it is used up.' }),
  window_start: at('When the present window began.'),
  window_end: at(
    'When the next window begins; of a rolling one, when its oldest quarter of an hour no longer counts.',
  ),
  resets_at: at('When there is room again, if it were used up now.'),
  projected: Type.Number({
    description:
      'Projected usage at the end of the window, at the rate of its last quarter or since its start. For a rolling window: usage of a whole window at this rate.',
  }),
  used_up_at: Type.Union([at('When the limit is reached at the present rate.'), Type.Null()], {
    description:
      'When the limit is reached at the present rate; null: not in this window, or it is reached already.',
  }),
  step_seconds: Type.Integer({ description: 'Length of a step of `steps`.' }),
  steps: Type.Array(Type.Number(), {
    description: 'What was spent in each step since the window began; the last one is still running.',
  }),
})
export type BudgetStanding = Static<typeof BudgetStandingSchema>
