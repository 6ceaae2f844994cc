import { definition, type Probe, type ProbedDialect, png, schema, user } from './probe.ts'

const ollamaTools = { tools: [{ type: 'function', function: definition }] }
const ollamaCall = { function: { name: 'get_weather', arguments: { city: 'Oslo' } } }

/** Source: Ollama API reference, "Generate a chat completion". */
export const ollama: ProbedDialect = {
  dialect: 'ollama',
  title: 'Ollama chat',
  plain: { model: 'm', messages: [user], stream: false },
  own: { model: 'replaced by the server’s name of the model' },
  probes: [
    { field: 'messages: system', body: { messages: [{ role: 'system', content: 'Be brief' }, user] } },
    { field: 'messages: images', body: { messages: [{ ...user, images: [png] }] } },
    {
      field: 'messages: thinking',
      body: { messages: [user, { role: 'assistant', content: 'Hi', thinking: 'Hm' }, user] },
      beside: { messages: [user, { role: 'assistant', content: 'Hi' }, user] },
    },
    {
      field: 'messages: tool_calls, tool',
      body: {
        messages: [
          user,
          { role: 'assistant', content: '', tool_calls: [ollamaCall] },
          { role: 'tool', tool_name: 'get_weather', content: '3' },
        ],
      },
    },
    { field: 'stream', body: { stream: true } },
    { field: 'format: json', body: { format: 'json' } },
    { field: 'format: schema', body: { format: schema } },
    { field: 'think: true', body: { think: true } },
    { field: 'think: false', body: { think: false } },
    { field: 'think: level', body: { think: 'high' } },
    { field: 'keep_alive', body: { keep_alive: '5m' } },
    { field: 'tools', body: ollamaTools },
    { field: 'logprobs', body: { logprobs: true } },
    { field: 'top_logprobs', body: { logprobs: true, top_logprobs: 2 } },
    ...Object.entries({
      num_predict: 100,
      num_ctx: 8192,
      num_keep: 4,
      num_batch: 256,
      num_gpu: 1,
      main_gpu: 0,
      num_thread: 4,
      use_mmap: true,
      temperature: 0.5,
      top_k: 40,
      top_p: 0.5,
      min_p: 0.1,
      typical_p: 0.9,
      repeat_last_n: 32,
      repeat_penalty: 1.1,
      presence_penalty: 0.5,
      frequency_penalty: 0.5,
      seed: 7,
      stop: ['END'],
    }).map(([name, value]): Probe => ({ field: `options.${name}`, body: { options: { [name]: value } } })),
    { field: 'any other field', body: { unheard_of: 1 } },
  ],
  silent: {},
}
