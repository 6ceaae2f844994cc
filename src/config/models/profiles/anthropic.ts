import type { ProfileRule } from './rule.ts'

/**
 * Anthropic, "Structured outputs", "JSON Schema limitations"; its SDKs move the same keywords into descriptions.
 * Some values of `minItems`, `format` and `additionalProperties` are accepted.
 */
const anthropicKeywords = [
  'minimum',
  'maximum',
  'exclusiveMinimum',
  'exclusiveMaximum',
  'multipleOf',
  'minLength',
  'maxLength',
  'minItems',
  'maxItems',
  'uniqueItems',
  'contains',
  'minContains',
  'maxContains',
  'minProperties',
  'maxProperties',
  'patternProperties',
  'propertyNames',
  'dependentRequired',
  'dependentSchemas',
  'if',
  'then',
  'else',
  'not',
  'oneOf',
  'format',
  'additionalProperties',
]

/** Claude models. */
export const anthropicRules: readonly ProfileRule[] = [
  // Anthropic API reference, "Create a Message": `metadata.user_id` (256 characters, no email address); names of tools have
  // 128 characters; error texts of tools: "input_schema does not support oneOf, allOf, or anyOf at the top level", "Property keys
  // should match pattern '^[a-zA-Z0-9_.-]{1,64}$'".
  // "Migrating to Claude 4.5": `temperature` or `top_p`, not both.
  {
    type: 'anthropic',
    profile: {
      max_tool_name: 128,
      property_names: 'word',
      max_user: 256,
      user_email: false,
      temperature_with_top_p: false,
      ranges: { temperature: [0, 1], top_p: [0, 1] },
      schema_keywords: anthropicKeywords,
      strict_keywords: anthropicKeywords,
      tool_root_keywords: ['oneOf', 'anyOf', 'allOf'],
    },
  },
  // Claude 3 and 3.5 do not support thinking, Claude 3.7 to 4 accept both members. Anthropic, "Models overview".
  {
    type: 'anthropic',
    model: /claude-(instant|2|3)/,
    profile: { thinking: 'none', temperature_with_top_p: true },
  },
  { type: 'anthropic', model: /claude-3-7/, profile: { thinking: 'budget' } },
  // Anthropic, "Extended thinking": Claude 4 to 4.5 use a thinking budget and reject adaptive thinking.
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet|haiku)-4([-.][0-5])?(-\d{8}|@\d{8}|-latest|-v\d.*|$)/,
    profile: { thinking: 'budget' },
  },
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet)-4([-.]0)?(-\d{8}|@\d{8}|-v\d.*|$)/,
    profile: { temperature_with_top_p: true },
  },
  // Anthropic, "Adaptive thinking" and "Effort": since 4.6. "Prefill Claude's response": rejected since 4.6.
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet|haiku)-(4[-.][6-9]|4[-.]\d\d|[5-9]|[1-9]\d)(?!\d)/,
    profile: { thinking: 'adaptive', efforts: ['low', 'medium', 'high', 'max'], prefill: false },
  },
  // Anthropic, "Migrating to Claude Opus 4.7": sampling other than the default values is rejected, and so is a budget;
  // the level xhigh is new.
  {
    type: 'anthropic',
    model: /claude-(opus|sonnet|haiku)-(4[-.][7-9]|4[-.]\d\d|[5-9]|[1-9]\d)(?!\d)/,
    profile: {
      efforts: ['low', 'medium', 'high', 'xhigh', 'max'],
      unsupported: ['temperature', 'top_p', 'top_k'],
    },
  },
  // Anthropic, "Adaptive thinking": these models always think.
  {
    type: 'anthropic',
    model: /claude-(mythos|fable)/,
    profile: {
      thinking: 'always',
      efforts: ['low', 'medium', 'high', 'xhigh', 'max'],
      unsupported: ['temperature', 'top_p', 'top_k'],
      prefill: false,
    },
  },
]
