/** Kinds of values that are masked without a service or a list, by the name that their pseudonyms begin with. */
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

/** Kinds whose pseudonyms can keep the form of the value. */
export const shapedKinds = ['EMAIL', 'URL', 'IP', 'PHONE'] as const

export type ShapedKind = (typeof shapedKinds)[number]

/** Kind of text that only looks like a pseudonym. */
export const literalKind = 'LITERAL'
