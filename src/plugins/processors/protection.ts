import type { BodyContents } from '../../processors/contents/body-contents.ts'
import type { UnchangedText } from '../../processors/contents/unchanged-texts.ts'
import { RouterError } from '../../sdk/errors.ts'
import type { CompiledProcessor } from './compiled.ts'

/** Throws if the request contains content that the processor cannot read or must not change. `headers`: those passed to the upstream. */
export function checkProtection(
  processor: CompiledProcessor,
  contents: BodyContents,
  headers: readonly UnchangedText[],
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
  const unchangedTexts = [...contents.unchanged, ...contents.opaqueTexts(), ...headers]
  const held = unchangedTexts.find(({ text }) => processor.plan.rules.holdsCertain(text))
  if (held)
    throw notProtected(
      `'${held.path}' contains a value that '${processor.name}' would mask, but this field cannot be changed`,
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

/** A guardrail judged the request or response unsafe. `by`: its name. */
export function blocked(what: 'request' | 'response', by?: string): RouterError {
  const name = by === undefined ? 'a guardrail' : `'${by}'`
  return new RouterError('bad_request', `The ${what} was blocked by ${name}`, {
    code: 'content_filter',
    shouldRetry: false,
  })
}
