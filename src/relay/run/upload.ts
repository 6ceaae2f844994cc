import type { Readable } from 'node:stream'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/provider.ts'
import type { Model } from '../../sdk/target.ts'
import type { ClientPipe } from '../answer/client-pipe.ts'
import { upstreamRequest } from '../request/upstream-request.ts'
import { boundaryOf, type FormPart, MultipartScan } from '../upstream/multipart.ts'
import { type Spool, type SpoolPiece, spoolBody } from '../upstream/spool.ts'
import type { ChatServices } from './chat.ts'
import { pipeOverTargets } from './forward.ts'

/** A form with a file, received whole and kept outside of memory, so that it can be sent to target after target. */
export interface Upload {
  spool: Spool
  boundary: string
  parts: readonly FormPart[]
  /** The value of the field `model`: the name the client asked for. */
  model: string
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
    const parts = scan.end()
    const model = parts.find(({ value }) => value !== undefined)?.value ?? ''
    if (model === '') {
      throw badRequest("'model' is required: the name of a model", 'model', 'missing_required_parameter')
    }
    return { spool, boundary, parts, model }
  } catch (error) {
    await spool.close()
    throw error
  }
}

/**
 * Sends the form on with the target's own name of the model, in the router's own writing: what goes upstream is what was
 * read here, whatever else stood in the headers of its parts, before and behind them. Throws the error to tell.
 */
export function pipeUpload(
  { upload, model, operation }: { upload: Upload; model: Model; operation: Operation },
  client: ClientPipe,
  services: ChatServices,
): Promise<void> {
  const { spool, boundary } = upload
  return pipeOverTargets({ operation, model, client }, services, (target, trace) => {
    const pieces = piecesOf(upload, target.upstreamModel)
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
      'content-length': String(pieces.reduce((sum, piece) => sum + lengthOf(piece), 0)),
    }
    return { ...request, headers, openBody: () => spool.read(pieces) }
  })
}

function piecesOf({ boundary, parts }: Upload, modelName: string): SpoolPiece[] {
  const pieces = parts.flatMap(({ name, filename, contentType, start, end, value }): SpoolPiece[] => {
    const file = filename === undefined ? '' : `; filename="${filename}"`
    const type = contentType === undefined || value !== undefined ? '' : `\r\nContent-Type: ${contentType}`
    const head = `--${boundary}\r\nContent-Disposition: form-data; name="${name}"${file}${type}\r\n\r\n`
    const content = value === undefined ? { start, end } : Buffer.from(modelName)
    return [Buffer.from(head), content, Buffer.from('\r\n')]
  })
  return [...pieces, Buffer.from(`--${boundary}--\r\n`)]
}

function lengthOf(piece: SpoolPiece): number {
  return Buffer.isBuffer(piece) ? piece.length : piece.end - piece.start
}
