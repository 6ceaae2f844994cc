import { type Static, Type } from '@sinclair/typebox'
import type { Flavour } from './dialect.ts'
import type { ProviderType } from './provider.ts'

const optional = Type.Optional
const texts = (description: string) => optional(Type.Array(Type.String(), { description }))
const yesNo = (description: string) => optional(Type.Boolean({ description }))
const count = (description: string) => optional(Type.Integer({ minimum: 1, description }))

/** `profile` of a provider in models-config.json. Every member that is absent is without a limit. */
export const ProfileSchema = Type.Object(
  {
    thinking: optional(
      Type.Union(
        [Type.Literal('adaptive'), Type.Literal('always'), Type.Literal('budget'), Type.Literal('none')],
        {
          description:
            'How an Anthropic model is asked to think: adaptive (by a level), always (adaptive, cannot be switched off), budget (by a number of tokens), none (not at all).',
          allowed: '"adaptive", "always", "budget" or "none"',
        },
      ),
    ),
    efforts: texts('Levels of reasoning that the model knows, lowest first; []: it has none.'),
    tools_with_effort: optional(
      Type.Literal('responses', {
        description:
          'responses: the model takes tools with reasoning on the Responses API only, which is used where the server has it; otherwise reasoning is switched off.',
      }),
    ),
    thoughts_back: texts(
      'Members of an assistant message that carry its earlier thoughts: reasoning_content, reasoning; []: none is sent.',
    ),
    unsupported: texts(
      'Sampling members that the model refuses unless they have their standard value, such as temperature.',
    ),
    max_temperature: optional(
      Type.Number({
        exclusiveMinimum: 0,
        description: 'Highest temperature; higher ones are lowered to it.',
      }),
    ),
    ranges: optional(
      Type.Record(Type.String(), Type.Array(Type.Number(), { minItems: 2, maxItems: 2 }), {
        description:
          'Lowest and highest value of sampling members, such as {"top_p": [0, 1]}; other values become the nearest one.',
      }),
    ),
    temperature_with_top_p: yesNo('false: the model takes temperature or top_p, not both; top_p is dropped.'),
    prefill: yesNo(
      'false: the last message must not be one of the assistant; the model is asked to continue it.',
    ),
    max_stops: count('Most stop sequences of a request.'),
    max_tool_name: count('Most characters of the name of a tool; longer ones are shortened.'),
    tool_name_characters: optional(
      Type.Union([Type.Literal('word'), Type.Literal('any')], {
        description: 'word: names of tools are letters, digits, _ and -; others are escaped. any: no limit.',
        allowed: '"word" or "any"',
      }),
    ),
    max_call_id: count('Most characters of the id of a tool call; longer ones are replaced by a digest.'),
    exact_call_id: count('Ids of tool calls have exactly so many letters and digits.'),
    max_user: count('Most characters of the id of the end user; longer ones are replaced by a digest.'),
    user_email: yesNo('false: an id of the end user that holds an email address is replaced by a digest.'),
    schema_keywords: texts(
      'JSON Schema keywords that the model refuses in output formats; they are moved into the description.',
    ),
    strict_keywords: texts('The same, for formats and tools with strict: true only.'),
    tool_root_keywords: texts('The same, for the top level of the parameters of a tool.'),
  },
  { description: 'Where the model differs from what the router knows of its name.' },
)

/** What a model takes, as far as it depends on the model and not on the dialect. */
export type Profile = Static<typeof ProfileSchema>

/** The flavour of a server as one of its models has it. */
export function flavourOf({ type, profile }: { type: ProviderType; profile?: Profile }): Flavour {
  const { efforts, thoughts_back: thoughts } = profile ?? {}
  if (efforts === undefined && thoughts === undefined) return type.flavour
  return {
    ...type.flavour,
    ...(efforts === undefined ? {} : { reasoningEfforts: efforts }),
    ...(thoughts === undefined ? {} : { reasoningHistory: thoughts.filter(isThoughtName) }),
  }
}

type ThoughtName = NonNullable<Flavour['reasoningHistory']>[number]

function isThoughtName(name: string): name is ThoughtName {
  return name === 'reasoning_content' || name === 'reasoning'
}
