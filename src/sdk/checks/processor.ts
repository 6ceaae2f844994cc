import type { ContentProcessor, ProcessorType, ProcessorVerdict } from '../processor.ts'
import { type Members, memberErrors } from './members.ts'

const members: Members<ProcessorType> = { name: 'string', create: 'function' }

export function processorTypeErrors(type: ProcessorType): string[] {
  return memberErrors(type, members)
}

const methods: Members<ContentProcessor> = { request: 'function?', response: 'function?' }

/** Errors of an object that `create` returned. */
export function processorErrors(processor: ContentProcessor): string[] {
  const errors = memberErrors(processor, methods)
  if (errors.length > 0) return errors
  const { request, response }: Partial<ContentProcessor> = processor
  return request || response ? [] : ["'request' or 'response' is required: a function"]
}

/** Thrown for a result of a processor that is not a verdict. The message quotes no content. */
class VerdictError extends TypeError {
  readonly code = 'INVALID_VERDICT'
}

/** Returns the verdict on `count` contents; throws VerdictError if it is none, so that the processor counts as failed. */
export function checkedVerdict(verdict: ProcessorVerdict, count: number): ProcessorVerdict {
  switch (verdict?.type) {
    case 'pass':
    case 'flag':
    case 'block':
      return verdict
    case 'replace': {
      const { contents }: { contents: unknown } = verdict
      if (Array.isArray(contents) && contents.length === count && contents.every(isString)) return verdict
      throw new VerdictError("'contents' is not a list with one string per content")
    }
    default:
      throw new VerdictError('the result is not a verdict')
  }
}

function isString(value: unknown): boolean {
  return typeof value === 'string'
}
