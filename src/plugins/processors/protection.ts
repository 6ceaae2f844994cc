import type { BodyContents } from '../../processors/contents/body-contents.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { CompiledProcessor } from './compiled.ts'

/** Text that goes on as it is, and where it stands. */
export interface KeptText {
  readonly text: string
  readonly path: string
}

/** Throws for what the processor cannot see or must not change. `headers`: those of the client that go on. */
export function checkProtection(
  processor: CompiledProcessor,
  contents: BodyContents,
  headers: readonly KeptText[],
): void {
  const [unprotected] = contents.unprotected
  if (unprotected !== undefined)
    throw notProtected(`'${unprotected}' cannot be processed by '${processor.name}'`, unprotected)
  if (processor.type !== 'masking') return
  const [media] = contents.media
  if (media !== undefined && !processor.passesMedia)
    throw notProtected(
      `'${media}' is an image, audio or a file, which '${processor.name}' cannot read`,
      media,
    )
  const kept = [...contents.kept, ...contents.opaqueTexts(), ...headers]
  const held = kept.find(({ text }) => processor.plan.rules.holdsCertain(text))
  if (held)
    throw notProtected(
      `'${held.path}' holds what '${processor.name}' masks, where nothing can be masked`,
      held.path,
    )
}

export function notProtected(message: string, param?: string): RouterError {
  return new RouterError('forbidden', message, {
    code: 'not_protected',
    shouldRetry: false,
    ...(param === undefined ? {} : { param }),
  })
}

/** A guardrail has found the request or the answer unsafe. `by`: its name. */
export function blocked(what: 'request' | 'response', by?: string): RouterError {
  const name = by === undefined ? 'a guardrail' : `'${by}'`
  return new RouterError('bad_request', `The ${what} was blocked by ${name}`, {
    code: 'content_filter',
    shouldRetry: false,
  })
}
