import { request } from 'node:http'

export interface Seen {
  startedMs: number
  endedMs: number
  /** 0: no response. */
  status: number
  text: string
  /** How the connection failed, or `timeout`; undefined if the response arrived whole. */
  broken: string | undefined
}

export interface Question {
  url: string
  body: object
  key: string
  timeoutMs: number
}

/** One POST on a separate connection, so that no other request is affected. */
export function ask({ url, body, key, timeoutMs }: Question): Promise<Seen> {
  const startedMs = performance.now()
  const bytes = Buffer.from(JSON.stringify(body))
  return new Promise((resolve) => {
    let status = 0
    let text = ''
    const end = (broken?: string): void => {
      clearTimeout(timer)
      resolve({ startedMs, endedMs: performance.now(), status, text, broken })
    }
    const headers = {
      'content-type': 'application/json',
      'content-length': bytes.length,
      authorization: `Bearer ${key}`,
    }
    const sent = request(url, { method: 'POST', headers, agent: false }, (answer) => {
      status = answer.statusCode ?? 0
      answer.setEncoding('utf8').on('data', (part: string) => {
        text += part
      })
      answer.on('end', () => end())
      answer.on('error', (error) => end(error.message))
    })
    sent.on('error', (error) => end(error.message))
    const timer = setTimeout(() => {
      end('timeout')
      sent.destroy()
    }, timeoutMs)
    sent.end(bytes)
  })
}
