import { randomBytes } from 'node:crypto'
import { resolve } from 'node:path'
import { readProblem } from '../lib/read-problem.ts'
import { memberPath, type ProviderAtPath } from './models/check.ts'

export interface SecretSources {
  env: Readonly<Record<string, string | undefined>>
  /** Reads a text file; throws the errors of `fs.readFileSync`. */
  readFile: (path: string) => string
  /** Base directory of relative paths. */
  baseDir: string
}

/**
 * Replaces each `${NAME}` by the value of that environment variable. A `$` without a brace is literal, and values are not
 * expanded again. `encode` is applied to each value.
 */
export function expandVariables(
  text: string,
  path: string,
  env: SecretSources['env'],
  errors: string[],
  encode: (value: string) => string = (value) => value,
): string {
  return text.replace(/\$\{([^}]*)\}?/g, (whole, name: string) => {
    if (!whole.endsWith('}') || !/^[A-Za-z_]\w*$/.test(name)) {
      errors.push(`${path}: a \${ is not followed by the name of an environment variable and }`)
      return ''
    }
    const value = env[name]
    if (value === undefined || value.trim() === '')
      errors.push(`${path}: the environment variable ${name} is not set`)
    return encode(value ?? '')
  })
}

/** Reads the provider's key from any source; undefined if it has none. Errors never contain a key. */
export function readToken(
  entry: ProviderAtPath,
  sources: SecretSources,
  errors: string[],
): string | undefined {
  const { provider } = entry
  const literal = provider.api_token?.trim() ?? ''
  const file = provider.api_token_file?.trim() ?? ''
  if (literal !== '' && file !== '') {
    errors.push(`${memberPath(entry, 'api_token_file')}: api_token is set too; remove one of the two`)
    return undefined
  }
  if (literal === '' && file === '') return undefined
  const tokenPath = memberPath(entry, file === '' ? 'api_token' : 'api_token_file')
  const token = (
    file === ''
      ? expandVariables(literal, tokenPath, sources.env, errors)
      : readTextFile(file, tokenPath, sources, errors)
  )?.trim()
  // A header field value consists of visible ASCII characters and spaces (RFC 9110, section 5.5).
  if (token && !/^[\x20-\x7e]+$/.test(token))
    errors.push(
      `${tokenPath}: the key contains a line break or another character that is not allowed in a header`,
    )
  return token
}

/** Reads a file named by a provider; reports an error and returns undefined if that fails. */
export function readTextFile(
  file: string,
  path: string,
  { readFile, baseDir }: SecretSources,
  errors: string[],
): string | undefined {
  let text: string
  try {
    text = readFile(resolve(baseDir, file))
  } catch (error) {
    const problem = error instanceof Error && 'code' in error ? `: ${readProblem(String(error.code))}` : ''
    errors.push(`${path}: cannot read ${JSON.stringify(file)}${problem}`)
    return undefined
  }
  if (text.trim() === '') errors.push(`${path}: ${JSON.stringify(file)} is empty`)
  return text
}

const prefix = 'made:'

/** Generates a secret that is valid until the next restart, recognizable as not configured. */
export function generatedSecret(): string {
  return prefix + randomBytes(32).toString('hex')
}

export function isGeneratedSecret(secret: string): boolean {
  return secret.startsWith(prefix)
}
