import type { Readable } from 'node:stream'
import type { JsonScan } from '../../lib/json/splice.ts'
import { badRequest, RouterError } from '../../sdk/errors.ts'
import type { Operation } from '../../sdk/operation.ts'
import type { Model, Target } from '../../sdk/target.ts'
import type { Drop } from '../../sdk/write-options.ts'
import type { ClientPipe } from '../answer/client-stream.ts'
import type { AnswerFilter } from '../answer/translation.ts'
import type { AnswerStream, AttemptPlan, PreparedAttempt } from '../attempt/prepared-attempt.ts'
import type { Exchange } from '../exchange.ts'
import { requireOperation, supporting } from '../request/operation-targets.ts'
import { type PreparedBody, passthroughBody } from '../request/prepare-body.ts'
import { traitsOfOperation } from '../request/request-traits.ts'
import { routingOfOperation } from '../request/routing-request.ts'
import type { UpstreamBody } from '../request/upstream-request.ts'
import type { RelayServices } from '../services.ts'
import { boundaryOf, type FormPart, MultipartScan } from '../upstream/multipart.ts'
import { type Spool, type SpoolPiece, spoolBody } from '../upstream/spool.ts'
import { wholeWithFailover, withFailover } from './failover.ts'
import { type OpaqueAnswer, readOpaque } from './opaque-answer.ts'
import { type TokenizeForm, tokenizeForm } from './tokenize-forms.ts'

/** A JSON request that is passed through, except for the model name. */
export interface ForwardedRequest {
  operation: Operation
  /** The model name in the request. */
  alias: string
  model: Model
  bytes: Buffer
  scan: JsonScan
}

/** Returns the whole response to a request with a small response. Throws the client's error. */
export function answerForward(request: ForwardedRequest, services: RelayServices): Promise<OpaqueAnswer> {
  const { operation, alias } = request
  const prepare = (target: Target): PreparedAttempt<OpaqueAnswer> => {
    const form = tokenizeForm(operation, request, target)
    const body = bodyFor(request, target, services, form)
    return { operation, body, read: (answer) => readOpaque(answer, alias, form?.added) }
  }
  return wholeWithFailover({ ...planOf(request, services, request.bytes), prepare }, services)
}

/** Streams the response to the client. Throws the client's error, even after the response has begun. */
export async function pipeForward(
  request: ForwardedRequest,
  client: ClientPipe,
  services: RelayServices,
): Promise<void> {
  const { operation } = request
  const prepare = (target: Target): PreparedAttempt =>
    piped({ operation, body: bodyFor(request, target, services) }, client, services.exchange)
  await withFailover({ ...planOf(request, services, request.bytes), prepare }, services)
}

function bodyFor(
  request: ForwardedRequest,
  target: Target,
  { exchange }: Pick<RelayServices, 'exchange'>,
  { set = {}, removed = [] }: Partial<TokenizeForm> = {},
): PreparedBody {
  const drop: Drop = (field, why) => exchange.drop(field, why)
  return passthroughBody(request, target, { set, removed: ['model_name', ...removed], drop })
}

/** Throws `bad_request` if no target of the model supports the operation. `bytes`: size of the body, if it is in memory. */
function planOf(
  { model, operation }: { model: Model; operation: Operation },
  services: RelayServices,
  bytes?: Buffer,
): Omit<AttemptPlan<never>, 'prepare'> {
  requireOperation(model, operation)
  const request = routingOfOperation(bytes?.length, services)
  return { model, traits: traitsOfOperation(operation, bytes), request, canServe: supporting(operation) }
}

/** An attempt whose response is streamed to the client, whatever its content. */
function piped(body: UpstreamBody, client: ClientPipe, exchange: Exchange): PreparedAttempt {
  const fail = (error: RouterError): void => {
    exchange.markTruncated(error)
    client.reset()
  }
  const stream = (): AnswerStream => ({ filter: untouched(), client, isOpaque: true, fail })
  return {
    ...body,
    headers: { ...body.headers, accept: '*/*' },
    stream,
    read: () => ({ answer: undefined, usage: undefined }),
  }
}

/** Passes through bytes of any kind; the end of the body ends the response. */
function untouched(): AnswerFilter {
  const state: AnswerFilter['state'] = { content: false, ended: false, failure: undefined, usage: undefined }
  return {
    state,
    push(chunk) {
      state.content = true
      return chunk
    },
    end() {
      state.ended = true
      return undefined
    },
  }
}

/** A form with a file, received completely and stored on disk, so that it can be sent to several targets. */
export interface Upload {
  spool: Spool
  boundary: string
  parts: readonly FormPart[]
  /** The value of the field `model`. */
  model: string
}

/** Throws `unsupported_media_type`, `too_large`, and `bad_request` if it is not a form with a model. */
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
 * Forwards the form with the target's model name. The router rewrites the headers of the parts: only what it has
 * parsed is sent upstream, nothing else from those headers or around the parts. Throws the client's error.
 */
export async function pipeUpload(
  { upload, model, operation }: { upload: Upload; model: Model; operation: Operation },
  client: ClientPipe,
  services: RelayServices,
): Promise<void> {
  const { spool, boundary } = upload
  const prepare = (target: Target): PreparedAttempt => {
    const pieces = piecesOf(upload, target.upstreamModel)
    const headers = {
      'content-type': `multipart/form-data; boundary="${boundary}"`,
      'content-length': String(pieces.reduce((sum, piece) => sum + lengthOf(piece), 0)),
    }
    const body = { operation, headers, body: Buffer.alloc(0), openBody: () => spool.read(pieces) }
    return piped(body, client, services.exchange)
  }
  await withFailover({ ...planOf({ model, operation }, services), prepare }, services)
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
