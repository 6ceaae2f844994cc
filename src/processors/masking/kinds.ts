import type { BuiltInKind } from '../../sdk/masked-kinds.ts'
import { findEmails, findIpAddresses, findMacAddresses, findSecretUrls } from './find-addresses.ts'
import {
  findBirthDates,
  findCard,
  findIban,
  findIdentityCard,
  findNip,
  findPesel,
  findRegon,
} from './find-numbers.ts'
import { phoneFinder } from './find-phones.ts'
import { findSecrets } from './find-secrets.ts'
import type { Finder } from './match.ts'

/**
 * Kinds with hardly any false positives. They are also searched for where nothing can be masked: in names of tools and roles, in ids
 * and in schemas.
 */
export const certainKinds: ReadonlySet<BuiltInKind> = new Set(['EMAIL', 'IBAN', 'URL'])

/** Most specific kinds first: of two that match the same characters, the first wins. */
export function builtInFinders({
  phoneCountries,
}: {
  phoneCountries: readonly string[]
}): Readonly<Record<BuiltInKind, Finder>> {
  return {
    URL: findSecretUrls,
    SECRET: findSecrets,
    EMAIL: findEmails,
    IBAN: findIban,
    CARD: findCard,
    PESEL: findPesel,
    NIP: findNip,
    REGON: findRegon,
    IDCARD: findIdentityCard,
    BIRTH: findBirthDates,
    MAC: findMacAddresses,
    IP: findIpAddresses,
    PHONE: phoneFinder(phoneCountries),
  }
}

/** A text without a match contains none of the certain kinds. */
export const mayHoldCertain = /[@\d]|:\/\/|&commat;/
/** A text without a match contains no built-in kind and is not searched further. */
export const mayHoldBuiltIn = /[@\d]|:\/\/|&commat;|[A-Za-z0-9_-]{20}|PRIVATE KEY|Bearer|Basic/
