import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { runCli } from './run-cli.ts'

const file = `model_list:
  - model_name: gpt-4o
    litellm_params:
      model: openai/gpt-4o
      api_key: os.environ/OPENAI_API_KEY
      temperature: 0.2
  - model_name: llama
    litellm_params: {model: hosted_vllm/meta-llama/Llama-3.1-8B-Instruct, api_base: "http://gpu1:8000/v1", max_parallel_requests: 8}
    model_info: {max_input_tokens: 131072}
  - model_name: llama
    litellm_params: {model: ollama_chat/llama3.1:8b, api_base: "http://gpu2:11434"}
  - model_name: embed
    litellm_params: {model: openai/bge-m3, api_base: "http://gpu1:8001/v1", api_key: none, rpm: 100}
    model_info: {mode: embedding}
  - model_name: "gpu3/*"
    litellm_params: {model: "hosted_vllm/*", api_base: "http://gpu3:8000/v1"}
  - model_name: azure-gpt
    litellm_params: {model: bedrock/anthropic.claude, aws_region_name: eu}
litellm_settings:
  fallbacks: [{gpt-4o: [llama]}, {llama: [nowhere]}]
router_settings:
  routing_strategy: least-busy
  model_group_alias: {gpt-4: gpt-4o}
general_settings:
  master_key: sk-secret-1234
`

test("LiteLLM's config.yaml becomes a models-config.json that passes check, and what is left out is reported", async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'llm-router-litellm-'))
  t.after(() => rmSync(folder, { recursive: true }))
  writeFileSync(join(folder, 'config.yaml'), file)
  const { stdout, stderr, code } = await runCli(['import', 'litellm', join(folder, 'config.yaml')])
  assert.equal(code, 0, stderr)
  const config = JSON.parse(stdout)
  assert.deepEqual(Object.keys(config.litellm), ['gpt-4o', 'llama', 'embed'])
  assert.deepEqual(config.litellm['gpt-4o'], {
    strategy: 'least_busy',
    fallbacks: ['llama'],
    providers: [
      {
        id: 'openai/gpt-4o',
        api_type: 'openai',
        api_host: 'https://api.openai.com',
        model_path: 'gpt-4o',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: the notation of environment variables in the file
        api_token: '${OPENAI_API_KEY}',
        defaults: { temperature: 0.2 },
      },
    ],
  })
  const [vllm, ollama] = config.litellm.llama.providers
  assert.deepEqual([vllm.api_type, vllm.max_in_flight, vllm.input_size], ['vllm', 8, 131072])
  assert.deepEqual([ollama.api_type, ollama.model_path], ['ollama', 'llama3.1:8b'])
  assert.equal(config.litellm.embed.providers[0].is_embedding, true)
  assert.deepEqual(config.servers, [
    { id: 'vllm-1', api_type: 'vllm', api_host: 'http://gpu3:8000/v1', models: '*' },
  ])
  assert.deepEqual(config.aliases, { 'gpt-4': 'gpt-4o' })
  for (const note of [/bedrock/, /fallbacks of "llama"/, /master_key: LLM_ROUTER_ADMIN_KEY/, /rpm and tpm/])
    assert.match(stderr, note)
  assert.doesNotMatch(stdout + stderr, /sk-secret-1234/)

  const converted = join(folder, 'models.json')
  writeFileSync(converted, stdout)
  const checked = await runCli(['check', converted], { OPENAI_API_KEY: 'sk-1' })
  assert.match(checked.stdout, /3 models, 4 servers, no errors, 0 warnings|no errors/)
})
