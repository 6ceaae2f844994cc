/**
 * Operations of upstreams. `completion` continues a plain prompt: OpenAI's legacy completions, Ollama's generate. `responses`
 * is OpenAI's Responses API. `count` counts the tokens of a prompt given as a chat request, `responses_count` of one given as a
 * Responses request. `cohere_embedding` is Cohere's `/v2/embed`, which vLLM supports too. `infill` is llama.cpp's completion
 * between a prefix and a suffix.
 */
export const operations = [
  'chat',
  'completion',
  'responses',
  'embedding',
  'rerank',
  'score',
  'transcription',
  'speech',
  'image',
  'tokenize',
  'detokenize',
  'count',
  'audio_translation',
  'image_edit',
  'moderation',
  'pooling',
  'classify',
  'cohere_embedding',
  'responses_count',
  'infill',
] as const

export type Operation = (typeof operations)[number]

/** Form of the response: one whole response, a stream, or results for several inputs. */
export const callForms = ['whole', 'stream', 'batch'] as const

export type ToolCallFormat = (typeof callForms)[number]
