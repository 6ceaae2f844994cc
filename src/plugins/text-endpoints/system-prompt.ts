import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { SystemPrompt } from '../../sdk/text-endpoint.ts'
import { normalLanguage, type PromptLibrary } from '../prompts/prompt-library.ts'

/** A rendered system message, and the language of its prompt. */
export interface RenderedSystem {
  text: string
  language: string | undefined
}

/**
 * Renders the system message of a request. Placeholders that the endpoint does not fill stay unchanged, because they
 * are part of the operator's text.
 */
export function renderSystem(
  library: PromptLibrary,
  system: SystemPrompt,
  language: string | null | undefined,
): RenderedSystem {
  if (system.named) {
    const text = namedPrompt(library, { ...system.named, path: 'prompt' })
    return { text: joined(text, system.append), language: normalLanguage(language) }
  }
  const found = system.prompt === undefined ? undefined : library.resolve(system.prompt, language)
  if (system.prompt !== undefined && !found) {
    throw new RouterError('internal', `The prompt library has no prompt ${system.prompt}`, {
      code: 'prompt_not_found',
    })
  }
  const template = filled(system.instead) ?? found?.text ?? ''
  const promptLanguage = found?.language ?? normalLanguage(language)
  const { text } = library.render(template, system.variables?.(promptLanguage) ?? {})
  return { text: joined(text, system.append), language: promptLanguage }
}

export interface NamedPrompt {
  id: string
  variables?: Readonly<Record<string, string>> | null
  /** Field or header in which the client named the prompt. */
  path: string
}

/** Text of a prompt that a client names. Throws 404 for an unknown id, 400 for missing variables. */
export function namedPrompt(library: PromptLibrary, { id, variables, path }: NamedPrompt): string {
  const prompt = library.find(id)
  if (!prompt) {
    throw new RouterError('not_found', `The prompt '${id.slice(0, 256)}' does not exist`, {
      code: 'prompt_not_found',
      param: path,
    })
  }
  const { text, missing } = library.render(prompt.text, variables ?? {})
  const [first] = missing
  if (first !== undefined) {
    const names = missing.map((name) => `'${name}'`).join(', ')
    throw badRequest(`The prompt '${prompt.id}' needs the variable(s) ${names}`, `${path}.variables.${first}`)
  }
  return text.trim()
}

function joined(text: string, append: string | null | undefined): string {
  return [text.trim(), filled(append)?.trim() ?? ''].filter((part) => part !== '').join('\n\n')
}

function filled(text: string | null | undefined): string | undefined {
  return text === null || text?.trim() === '' ? undefined : text
}
