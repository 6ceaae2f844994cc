/** Kinds of values that built-in rules detect. A pseudonym begins with the name of its kind. */
export const builtInKinds = [
  'EMAIL',
  'PHONE',
  'IBAN',
  'CARD',
  'IP',
  'MAC',
  'URL',
  'SECRET',
  'PESEL',
  'NIP',
  'REGON',
  'IDCARD',
  'BIRTH',
] as const

export type BuiltInKind = (typeof builtInKinds)[number]

/** Kinds whose pseudonyms can keep the format of the value. */
export const shapedKinds = ['EMAIL', 'URL', 'IP', 'PHONE'] as const

export type ShapedKind = (typeof shapedKinds)[number]

/** Kind for text in a request that looks like a pseudonym but is none. */
export const literalKind = 'LITERAL'
