import type { Readable } from 'node:stream'
import { badRequest, RouterError } from '../core/errors.ts'
import { boundaryOf, type FieldPlace, MultipartScan } from '../core/multipart.ts'
import type { Operation } from '../core/provider.ts'
import type { Model } from '../core/target.ts'
import type { ChatServices } from './chat-run.ts'
import type { ClientPipe } from './client-pipe.ts'
import { pipeOverTargets } from './forward-run.ts'
import { type Spool, spoolBody } from './spool.ts'
import { upstreamRequest } from './upstream-request.ts'

/** A form with a file, received whole and kept outside of memory, so that it can be sent to target after target. */
export interface Upload {
  spool: Spool
  boundary: string
  /** The field `model`; its value is the name the client asked for. */
  model: FieldPlace
}

/** Throws `unsupported_media_type`, `too_large`, and `bad_request` for what is no form with a model. */
export async function receiveUpload(
  source: Readable,
  { contentType, maxBytes }: { contentType: string; maxBytes: number },
): Promise<Upload> {
  const boundary = boundaryOf(contentType)
  if (boundary === undefined) {
    throw new RouterError('unsupported_media_type', 'The body must be multipart/form-data with a boundary')
  }
  const scan = new MultipartScan(boundary, 'model')
  const spool = await spoolBody(source, { maxBytes, onChunk: (chunk) => scan.push(chunk) })
  try {
    const model = scan.end()
    if (!model || model.value === '') {
      throw badRequest("'model' is required: the name of a model", 'model', 'missing_required_parameter')
    }
    return { spool, boundary, model }
  } catch (error) {
    await spool.close()
    throw error
  }
}

/** Sends the form on with the target's own name of the model. Throws the error to tell. */
export function pipeUpload(
  { upload, model, operation }: { upload: Upload; model: Model; operation: Operation },
  client: ClientPipe,
  services: ChatServices,
): Promise<void> {
  const { spool, boundary, model: field } = upload
  return pipeOverTargets({ operation, model, client }, services, (target, trace) => {
    const name = Buffer.from(target.upstreamModel)
    const bytes = spool.bytes - (field.end - field.start) + name.length
    const request = upstreamRequest({
      target,
      operation,
      body: Buffer.alloc(0),
      stream: false,
      requestId: services.exchange.id,
      clientHeaders: services.clientHeaders,
      userAgent: services.userAgent,
      trace,
    })
    const headers = {
      ...request.headers,
      'content-type': `multipart/form-data; boundary="${boundary}"`,
      'content-length': String(bytes),
    }
    const pieces = [{ start: 0, end: field.start }, name, { start: field.end, end: spool.bytes }]
    return { ...request, headers, openBody: () => spool.read(pieces) }
  })
}
