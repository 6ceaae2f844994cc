import { closestName } from './closest-name.ts'

/** `; did you mean "ollama"?` to end an error with, or nothing. Short names are near to everything, so they get none. */
export function didYouMean(name: string, known: Iterable<string>): string {
  const others = [...known].filter((one) => one !== name)
  const closest = name.length < 4 ? undefined : closestName(name, others)
  return closest === undefined ? '' : `; did you mean ${JSON.stringify(closest)}?`
}
