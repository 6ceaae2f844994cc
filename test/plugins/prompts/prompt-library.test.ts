import assert from 'node:assert/strict'
import { test } from 'node:test'
import { normalLanguage, PromptLibrary } from '../../../src/plugins/prompts/prompt-library.ts'

const shipped = {
  'builtin/system/en/answer': 'shipped en ##Q##',
  'builtin/system/pl/answer': 'shipped pl ##Q##',
}

function libraryOf(
  own: Record<string, string> | undefined,
  defaultLanguage = 'pl',
): { library: PromptLibrary; warnings: string[] } {
  const warnings: string[] = []
  const library = new PromptLibrary({
    shipped: new Map(Object.entries(shipped)),
    defaultLanguage,
    warn: (message) => warnings.push(message),
  })
  if (own) library.replace(new Map(Object.entries(own)))
  return { library, warnings }
}

const answer = 'builtin/system/*/answer'

test('the language of the request selects the prompt', () => {
  const { library, warnings } = libraryOf({
    'builtin/system/en/answer': 'own en',
    'builtin/system/pl/answer': 'own pl',
  })
  assert.equal(library.resolve(answer, 'en')?.text, 'own en')
  assert.equal(library.resolve(answer, 'pl')?.text, 'own pl')
  assert.equal(library.resolve('builtin/system/pl/answer', 'en')?.text, 'own en')
  assert.deepEqual(warnings, [])
})

test('a language may be in any case, have a region, or be blank', () => {
  const { library, warnings } = libraryOf(undefined)
  for (const language of ['EN', ' en ', 'en-GB', 'en_US.UTF-8'])
    assert.equal(library.resolve(answer, language)?.language, 'en', language)
  for (const language of ['', '  ', null, undefined])
    assert.equal(library.resolve(answer, language)?.language, 'pl', String(language))
  assert.deepEqual(warnings, [])
})

test('an invalid language tag is undetermined, and never part of a path', () => {
  for (const language of ['../../etc', '12', 'e', '*', 'en2', 'x-private'])
    assert.equal(normalLanguage(language), 'und', language)
  assert.equal(libraryOf(undefined).library.resolve(answer, '../pl')?.language, 'pl')
})

test('a missing language falls back to the default one, with one warning', () => {
  const { library, warnings } = libraryOf({
    'builtin/system/en/answer': 'own en',
    'builtin/system/pl/answer': 'own pl',
  })
  assert.equal(library.resolve(answer, 'de')?.text, 'own pl')
  assert.equal(library.resolve(answer, 'de-AT')?.text, 'own pl')
  assert.deepEqual(warnings, [
    'no prompt builtin/system/de/answer; prompt builtin/system/pl/answer is used instead',
  ])
})

test('without a prompt in the default language the English prompt is used', () => {
  const { library, warnings } = libraryOf({ 'builtin/system/en/answer': 'own en' })
  assert.equal(library.resolve(answer, 'de')?.text, 'own en')
  assert.equal(library.resolve(answer, undefined)?.text, 'own en')
  assert.equal(warnings.length, 2)
})

test('a prompt missing from the directory is shipped, in the best available language', () => {
  const { library, warnings } = libraryOf({ 'builtin/system/en/other': 'own' })
  assert.equal(library.resolve(answer, 'en')?.text, 'shipped en ##Q##')
  assert.equal(library.resolve(answer, 'de')?.text, 'shipped pl ##Q##')
  assert.equal(library.resolve(answer, 'en')?.shipped, true)
  assert.deepEqual(warnings, [
    'no prompt builtin/system/en/answer; the shipped prompt builtin/system/en/answer is used instead',
    'no prompt builtin/system/de/answer; the shipped prompt builtin/system/pl/answer is used instead',
  ])
})

test('a prompt in any language is used if there is no better one', () => {
  const { library } = libraryOf({ 'builtin/system/fr/poem': 'un poème' })
  assert.equal(library.resolve('builtin/system/*/poem', 'en')?.text, 'un poème')
})

test('without a directory the shipped prompts are used without a warning', () => {
  const { library, warnings } = libraryOf(undefined)
  assert.equal(library.resolve(answer, 'en')?.text, 'shipped en ##Q##')
  assert.deepEqual(warnings, [])
})

test('an unavailable default language falls back to English', () => {
  const { library } = libraryOf(undefined, 'de-DE')
  assert.equal(library.resolve(answer, null)?.language, 'en')
})

test('an unknown prompt is undefined, without a warning', () => {
  const { library, warnings } = libraryOf({ 'notes/own': 'x' })
  for (const id of [
    'builtin/system/en/nothing',
    'nothing',
    '',
    'constructor',
    '../notes/own',
    'notes//own',
  ]) {
    assert.equal(library.resolve(id, 'en'), undefined, id)
    assert.equal(library.find(id), undefined, id)
  }
  assert.deepEqual(warnings, [])
})

test('an id selects its own prompt, even a shipped one, before any fallback', () => {
  const { library, warnings } = libraryOf({
    'builtin/system/pl/answer': 'own pl',
    'notes/own': 'own notes',
  })
  assert.equal(library.find('builtin/system/en/answer')?.text, 'shipped en ##Q##')
  assert.equal(library.find('builtin/system/pl/answer')?.text, 'own pl')
  assert.equal(library.find('notes/own')?.text, 'own notes')
  assert.equal(library.resolve('notes/own', 'en')?.language, undefined)
  assert.deepEqual(warnings, [])
  assert.equal(library.find('builtin/system/de/answer')?.text, 'own pl')
  assert.equal(warnings.length, 1)
})

test('the list has every id once, with its language and placeholders, and no text', () => {
  const { library } = libraryOf({ 'builtin/system/pl/answer': '##A## ##B## ##A##', 'notes/own': 'x' })
  assert.deepEqual(library.list(), [
    { id: 'builtin/system/en/answer', language: 'en', placeholders: ['Q'], shipped: true },
    { id: 'builtin/system/pl/answer', language: 'pl', placeholders: ['A', 'B'], shipped: false },
    { id: 'notes/own', language: undefined, placeholders: [], shipped: false },
  ])
})

test('replaced prompts are used immediately, listeners are notified, and warnings may repeat', () => {
  const { library, warnings } = libraryOf({ 'builtin/system/pl/answer': 'first' })
  const received: (string | undefined)[] = []
  const stop = library.onReload(() => received.push(library.resolve(answer, 'de')?.text))
  library.resolve(answer, 'de')
  library.replace(new Map([['builtin/system/pl/answer', 'second']]))
  stop()
  library.replace(new Map())
  assert.deepEqual(received, ['second'])
  assert.equal(warnings.length, 2)
})

test('a failing listener affects neither the prompts nor the other listeners', () => {
  const { library, warnings } = libraryOf({})
  let received = 0
  library.onReload(() => {
    throw new Error('no')
  })
  library.onReload(() => received++)
  library.replace(new Map([['builtin/system/pl/answer', 'second']]))
  assert.equal(received, 1)
  assert.equal(library.find('builtin/system/pl/answer')?.text, 'second')
  assert.match(warnings.join(), /listener.*no/)
})

test('warnings about languages invented by clients are limited', () => {
  const { library, warnings } = libraryOf(undefined)
  const letters = Array.from('bcdfghjklmnpqrst')
  for (const a of letters)
    for (const b of letters) for (const c of letters) library.resolve(answer, `${a}${b}${c}`)
  assert.equal(warnings.length, 1000)
})
