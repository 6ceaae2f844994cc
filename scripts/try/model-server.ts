import { once } from 'node:events'
import { createServer } from 'node:http'

export interface ModelServer {
  /** `host:port` */
  readonly host: string
  stop(): Promise<void>
}

/** A stand-in for a vLLM server: lists one model, and answers each chat with the same text. */
export async function startModelServer(answer: string): Promise<ModelServer> {
  const model = 'meta-llama/Llama-3.1-8B'
  const server = createServer((request, response) => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    request.resume().once('end', () => {
      if (request.url === '/v1/models')
        send(200, {
          object: 'list',
          data: [{ id: model, object: 'model', owned_by: 'vllm', max_model_len: 8192 }],
        })
      else if (request.url === '/health') response.writeHead(200).end()
      else if (request.method === 'POST' && request.url === '/v1/chat/completions')
        send(200, {
          id: 'chatcmpl-1',
          object: 'chat.completion',
          created: 0,
          model,
          choices: [{ index: 0, message: { role: 'assistant', content: answer }, finish_reason: 'stop' }],
          usage: { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10 },
        })
      else send(404, { error: { message: 'not found' } })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || !address) throw new Error('no port')
  return {
    host: `127.0.0.1:${address.port}`,
    async stop() {
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
