// A small MCP server over stdio with one tool, `word`, which returns a word that occurs nowhere else.
import { createInterface } from 'node:readline'

interface Call {
  id?: number
  method: string
  params?: { protocolVersion?: string; arguments?: { day?: string } }
}

const tool = {
  name: 'word',
  description: 'Tells the word of the day.',
  inputSchema: { type: 'object', properties: { day: { type: 'string' } } },
  annotations: { readOnlyHint: true },
}

function answer({ method, params }: Call): object {
  if (method === 'initialize') {
    const serverInfo = { name: 'notes', version: '1.0.0' }
    return { protocolVersion: params?.protocolVersion, capabilities: { tools: {} }, serverInfo }
  }
  if (method === 'tools/list') return { tools: [tool] }
  if (method === 'tools/call')
    return { content: [{ type: 'text', text: `marmalade on ${params?.arguments?.day}` }] }
  return {}
}

for await (const line of createInterface({ input: process.stdin })) {
  const call: Call = JSON.parse(line)
  // Notifications have no id and get no response.
  if (call.id === undefined) continue
  process.stdout.write(`${JSON.stringify({ jsonrpc: '2.0', id: call.id, result: answer(call) })}\n`)
}
