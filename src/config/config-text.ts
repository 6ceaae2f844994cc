import { type JsonDocument, readJsonc, type SyntaxProblem } from '../lib/json/jsonc.ts'
import { readYaml } from '../lib/yaml.ts'

/** Syntax of a configuration file. */
export type Syntax = 'JSON' | 'YAML'

/** Returns the syntax by file name extension: `.yaml` and `.yml` are YAML, everything else is JSON. */
export function syntaxOf(path: string): Syntax {
  return /\.ya?ml$/i.test(path) ? 'YAML' : 'JSON'
}

/** Parses a configuration file: its value with the positions of its parts, or its first syntax error. */
export function readConfigText(
  text: string,
  syntax: Syntax,
): (JsonDocument & { syntaxError?: undefined }) | { syntaxError: SyntaxProblem } {
  return syntax === 'YAML' ? readYaml(text) : readJsonc(text)
}

/** Describes a syntax error, without its position. */
export function syntaxErrorText({ reason }: SyntaxProblem, syntax: Syntax): string {
  return `not valid ${syntax} from here on: ${reason}`
}
