import assert from 'node:assert/strict'
import { test } from 'node:test'
import { at, errorsIn, load, modelFile, providers } from '../helpers/models-file.ts'

test('a configuration of the Python llm-router loads unchanged', () => {
  const { models, warnings } = load({
    models_raw: 'notes of the operator',
    google_models: {
      'google/gemma-3-12b-it': {
        providers: [
          {
            id: 'gemma-a',
            api_host: 'http://192.0.2.1:7000/',
            api_token: '',
            api_type: 'OpenAI',
            input_size: '4096',
            model_path: '',
            weight: '0.5',
          },
          {
            id: 7,
            api_host: 'http://192.0.2.2:7000',
            api_token: null,
            api_type: 'openai ',
            input_size: 4096.7,
            model_path: null,
            weight: 3,
            keep_alive: null,
            tool_calling: 'false',
            comment: { unknown: ['to', 'us'] },
          },
        ],
        providers_sleep: [
          { id: 'gemma-c', api_host: 'http://192.0.2.3', api_type: 'openai', is_embedding: 0 },
        ],
      },
      parked: { comment: 'no providers yet' },
    },
    ollama_models: {
      'gpt-oss:120b': {
        providers: [
          {
            id: 'o',
            api_host: 'http://192.0.2.4:11434',
            api_type: 'ollama',
            api_token: 'k',
            is_embedding: 1,
          },
        ],
        providers_sleep: null,
      },
    },
    active_models: {
      google_models: ['google/gemma-3-12b-it'],
      ollama_models: ['gpt-oss:120b'],
      openai_models: [],
    },
  })
  assert.equal(warnings.length, 1)
  assert.match(warnings[0] ?? '', /providers\[1\]\.weight: 3 is more than 1 and counts as 1/)
  assert.deepEqual(
    models.map(({ alias, group, embedding }) => [alias, group, embedding]),
    [
      ['google/gemma-3-12b-it', 'google_models', false],
      ['gpt-oss:120b', 'ollama_models', true],
    ],
  )
  const [first, second] = models[0]?.targets ?? []
  assert.partialDeepStrictEqual(first, {
    id: 'gemma-a',
    model: 'google/gemma-3-12b-it',
    upstreamModel: 'google/gemma-3-12b-it',
    origin: 'http://192.0.2.1:7000',
    paths: { chat: '/v1/chat/completions' },
    token: undefined,
    weight: 0.5,
    inputSize: 4096,
    toolCalling: true,
    dropParams: [],
    defaults: {},
    streamUsage: true,
    mock: {},
  })
  assert.equal(first?.type, providers.find('openai'))
  assert.partialDeepStrictEqual(second, {
    id: '7',
    upstreamModel: 'google/gemma-3-12b-it',
    token: undefined,
    weight: 1,
    inputSize: 4096,
    toolCalling: false,
    defaults: {},
  })
  assert.deepEqual(
    models[0]?.standby.map((target) => target.id),
    ['gemma-c'],
  )
  assert.equal(models[1]?.targets[0]?.token, 'k')
})

test('a file may have comments and trailing commas', () => {
  const { models } = load(`// our servers
{
  "a": { "m": { "providers": [{ "api_type": "mock", "id": "x" }, /* "down" */] } },
  "active_models": { "a": ["m",] }, // one for now
}`)
  assert.deepEqual(
    models.map(({ alias, targets }) => [alias, targets.length]),
    [['m', 1]],
  )
})

test('invalid JSON is reported with line, column and reason, without the text', () => {
  const broken: [text: string, line: number, column: number, reason: string][] = [
    ['{\n  "a": 1,\n  b}', 3, 3, 'expected a value, or a name in double quotes'],
    ['{"api_token": hunter2}', 1, 15, 'expected a value, or a name in double quotes'],
    ['{"api_token": "hunter2" "x": 1}', 1, 25, 'expected "," or the end of the object or list'],
    ['{\r\n"a": [1, 2,,]}', 2, 12, 'expected a value'],
    ['{"a": "hunter2", /* hunter2', 1, 18, 'the comment is not closed'],
    ['{"a": "tab\there"}', 1, 7, 'a control character in a string, such as a tab or a line break'],
    ['{"a": 01}', 1, 8, 'expected "," or the end of the object or list'],
    ['{"a": {"b": 1}', 1, 15, 'expected "}"'],
    ['{} {}', 1, 4, 'expected the end of the file'],
    ['[1}', 1, 3, 'expected "," or the end of the object or list'],
    ["{'a': 1}", 1, 2, 'expected double quotes instead of single quotes'],
    ['a:\n  b: 1', 1, 1, 'expected "{"; the name of a YAML file must end in .yaml or .yml'],
    ['', 1, 1, 'the file is empty'],
  ]
  for (const [text, line, column, reason] of broken) {
    assert.deepEqual(
      errorsIn(text),
      [`models-config.json (line ${line}, column ${column}): not valid JSON from here on: ${reason}`],
      JSON.stringify(text),
    )
  }
})

test('a byte order mark is accepted, a list is not', () => {
  assert.deepEqual(load('\ufeff{"active_models": {}}').models, [])
  assert.deepEqual(errorsIn('[]'), ['models-config.json (line 1, column 1): not an object'])
})

test('active_models is required, and names existing models only', () => {
  assert.match(errorsIn({ g: {} })[0] ?? '', /^active_models: missing/)
  assert.match(errorsIn({ active_models: null })[0] ?? '', /^active_models: missing/)
  assert.match(errorsIn({ active_models: ['g'] })[0] ?? '', /^active_models: not an object/)
  const group = { a: { providers: [] }, gone: null }
  assert.deepEqual(
    errorsIn({
      google_models: group,
      text: 'x',
      active_models: {
        google_models: ['a', 'gone', 'x', '__proto__', 5],
        'no group': ['b', 'c'],
        text: ['d'],
        toString: ['e'],
        list: 'a',
      },
    }).toSorted(),
    [
      'active_models.google_models[1]: no such model "gone"',
      'active_models.google_models[2]: no such model "x"',
      'active_models.google_models[3]: no such model "__proto__"',
      'active_models.google_models[4]: not the name of a model',
      'active_models["no group"]: no such group of models',
      'active_models.text: no such group of models',
      'active_models.toString: no such group of models',
      'active_models.list: not a list of model names',
    ].toSorted(),
  )
})

test('a model that is active in two groups is an error, one that is listed twice is a warning', () => {
  const model = { providers: [{ api_type: 'mock' }] }
  assert.deepEqual(errorsIn({ a: { m: model }, b: { m: model }, active_models: { a: ['m'], b: ['m'] } }), [
    'active_models.b[0]: "m" is also active_models.a[0]; a name can be active once',
  ])
  const { models, warnings } = load({ a: { m: model }, active_models: { a: ['m', 'm'] } })
  assert.equal(models.length, 1)
  assert.deepEqual(warnings, ['active_models.a[1]: "m" is listed twice; it is also active_models.a[0]'])
})

test('a duplicate model is a warning: in one group, where the last one is used, and in a second group', () => {
  const text = `{
  "a": {
    "m": { "providers": [{ "api_type": "mock", "id": "first" }] },
    "n\\": {": { "providers": [] },
    "m": { "providers": [{ "api_type": "mock", "id": "last" }] }
  },
  "b": { "m": { "providers": [] } },
  "active_models": { "a": ["m"] }
}`
  const { models, warnings } = load(text)
  assert.deepEqual(
    models.flatMap(({ targets }) => targets.map(({ id }) => id)),
    ['last'],
  )
  assert.deepEqual(warnings, [
    'models-config.json (line 3, column 10): "m" occurs more than once; only the last one counts',
    'b["m"]: not served; the active model of this name is a["m"]',
  ])
})

test('a weight outside of 0 to 1 is a warning, also in an inactive model', () => {
  const model = {
    providers: [
      { api_type: 'mock', weight: 1.5 },
      { api_type: 'mock', weight: -1 },
    ],
  }
  const { warnings } = load({
    g: { m: model, fine: { providers: [{ api_type: 'mock', weight: 1 }] }, parked: model },
    active_models: { g: ['m', 'fine'] },
  })
  assert.equal(warnings.length, 4)
  assert.match(warnings[0] ?? '', /^g\["m"\]\.providers\[0\]\.weight: 1\.5 is more than 1 and counts as 1/)
  assert.match(warnings[1] ?? '', /^g\["m"\]\.providers\[1\]\.weight: -1 is less than 0 and counts as 0/)
  assert.match(warnings[2] ?? '', /^g\["parked"\]/)
})

test('a variable in the notation of another program is a warning that does not show it', () => {
  const written = [
    'os.environ/OPENAI_KEY',
    '$OPENAI_KEY',
    ' $(OPENAI_KEY)',
    'env.OPENAI_KEY',
    'env:OPENAI_KEY',
  ]
  for (const api_token of written) {
    const { warnings } = load(modelFile({ api_type: 'openai', api_host: 'http://h', api_token }))
    assert.equal(warnings.length, 1, api_token)
    assert.match(warnings[0] ?? '', /\.api_token: looks like .*write \$\{NAME\}/)
    assert.ok(!warnings[0]?.includes('OPENAI_KEY'))
  }
  const of = (provider: object) =>
    load(modelFile({ api_type: 'openai', api_host: 'http://h', ...provider })).warnings
  assert.match(of({ api_host: 'http://$GPU:8000' }).join(), /\.api_host: looks like/)
  assert.match(of({ model_path: 'os.environ/MODEL' }).join(), /\.model_path: looks like/)
  for (const api_token of ['sk-$a', 'pa$$word', '$', '$1a', 'environment', 'os.environ'])
    assert.deepEqual(of({ api_token }), [], api_token)
})

test('all errors of a file are reported together', () => {
  const errors = errorsIn({
    'my group': {
      'a/b': { providers: [{ api_type: 'foo', api_host: 'h' }, 'x', { weight: {} }] },
      c: {},
      d: 5,
    },
    active_models: { 'my group': ['a/b', 'c', 'd', 'e'] },
  })
  assert.deepEqual(errors.toSorted(), [
    '"my group"["a/b"].providers[0].api_host: is not an http:// or https:// address',
    '"my group"["a/b"].providers[0].api_type: "foo" is unknown; known: openai, ollama, mock',
    '"my group"["a/b"].providers[1]: "x" is not an object',
    '"my group"["a/b"].providers[2].api_type: missing; it must be a string',
    '"my group"["a/b"].providers[2].weight: an object is not a number',
    '"my group"["c"].providers: missing; it must be a list',
    '"my group"["d"]: 5 is not an object',
    'active_models["my group"][3]: no such model "e"',
  ])
})

test('inactive models may be incomplete, but the values that they have must be valid', () => {
  const parked = (model: unknown) => errorsIn({ g: { m: model }, active_models: {} })
  assert.deepEqual(parked({ providers: [{ api_type: 'llama.cpp' }, { api_token: `\${UNSET}` }] }), [])
  assert.deepEqual(parked({ comment: 'soon' }), [])
  assert.deepEqual(parked('soon'), [])
  assert.deepEqual(parked({ providers: [{ weight: 'heavy' }] }), [`${at}.weight: "heavy" is not a number`])
  assert.deepEqual(parked({ providers_sleep: {} }), ['g["m"].providers_sleep: an object is not a list'])
})

test('a model without providers is loaded, with a warning', () => {
  const { models, warnings } = load(modelFile())
  assert.deepEqual(models[0]?.targets, [])
  assert.deepEqual(warnings, ['g["m"].providers: empty; "m" cannot answer'])
})

test('an id that two active providers share is an error with both paths; inactive ones are not checked', () => {
  const provider = { id: 'x', api_type: 'mock' }
  const file = {
    g: {
      m: { providers: [provider] },
      n: { providers: [], providers_sleep: [{ ...provider, id: ' x' }] },
      parked: { providers: [provider] },
    },
  }
  assert.deepEqual(errorsIn({ ...file, active_models: { g: ['m', 'n'] } }), [
    `g["n"].providers_sleep[0].id: "x" is also the id of ${at}`,
  ])
  assert.deepEqual(errorsIn({ ...file, active_models: { g: ['m'] } }), [])
})
