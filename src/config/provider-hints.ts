import type { Provider } from './models-schema.ts'
import { looksUnexpanded, unexpandedHint } from './unexpanded.ts'

/** Values of a provider that are valid and most likely a mistake, each with its path. Values of keys are not shown. */
export function providerHints(provider: Provider, place: string): string[] {
  const unexpanded = Object.entries(provider).filter(
    ([name, value]) =>
      typeof value === 'string' && (looksUnexpanded(value) || (name === 'api_host' && namesVariable(value))),
  )
  return [
    ...unexpanded.map(([name]) => `${place}.${name}: ${unexpandedHint}`),
    ...weightHints(provider.weight, `${place}.weight`),
  ]
}

/** In a key a dollar may be just that; no address has one. */
function namesVariable(host: string): boolean {
  return /\$\(?[A-Za-z_]/.test(host)
}

function weightHints(weight: number | undefined, place: string): string[] {
  if (weight === undefined || (weight >= 0 && weight <= 1)) return []
  if (weight < 0) return [`${place}: ${weight} is less than 0 and counts as 0; weights are from 0 to 1`]
  return [
    `${place}: ${weight} is more than 1 and counts as 1; weights are from 0 to 1, so divide all weights of the model by the largest`,
  ]
}
