import assert from 'node:assert/strict'
import { join } from 'node:path'
import { test } from 'node:test'
import { readPromptTree } from '../../src/config/prompt-tree.ts'
import { PromptLibrary } from '../../src/plugins/prompts/prompt-library.ts'
import { placeholdersIn, renderPrompt } from '../../src/plugins/prompts/render-prompt.ts'
import { questionCount } from '../../src/routes/text/generate-questions.ts'

const placeholdersOf: Record<string, string[]> = {
  'answer-from-context-simple': ['QUESTION_STR'],
  'chat-conversation-simple': [],
  'full-article': ['USER_Q_STR'],
  'generate-questions': ['QUESTION_NUM_STR'],
  'news-on-sm': [],
  'simplify-text': [],
  translate: ['TARGET_LANGUAGE_STR'],
  'translate-to-pl': [],
}

const tree = await readPromptTree(join(import.meta.dirname, '../../resources/prompts'))
assert.ok(tree, 'the prompts are shipped')

test('every shipped prompt exists in English and Polish with the same placeholders, without extra files', () => {
  assert.deepEqual(tree.errors, [])
  const found = new Map(Array.from(tree.texts, ([id, text]) => [id, placeholdersIn(text)]))
  const expected = ['en', 'pl'].flatMap((language) =>
    Object.entries(placeholdersOf).map(([name, names]) => [`builtin/system/${language}/${name}`, names]),
  )
  assert.deepEqual(Object.fromEntries(found), Object.fromEntries(expected))
})

test('a filled prompt contains no remaining placeholder', () => {
  const variables = { QUESTION_NUM_STR: 'x', USER_Q_STR: 'x', QUESTION_STR: 'x', TARGET_LANGUAGE_STR: 'x' }
  for (const [id, text] of tree.texts) {
    const rendered = renderPrompt(text, variables)
    assert.deepEqual(rendered.missing, [], id)
    assert.doesNotMatch(rendered.text, /##/, id)
  }
})

test('the number of questions reads as a sentence in both languages', () => {
  const library = new PromptLibrary({
    shipped: tree.texts,
    defaultLanguage: 'pl',
    warn: (message) => assert.fail(message),
  })
  const sentence = (language: string, count: number): string => {
    const prompt = library.resolve('builtin/system/*/generate-questions', language)
    assert.ok(prompt)
    return library.render(prompt.text, { QUESTION_NUM_STR: questionCount(count, prompt.language) }).text
  }
  assert.match(sentence('en', 2), /^Write exactly 2 question\(s\) about this text\.$/m)
  assert.match(sentence('pl', 1), /^Ułóż dokładnie 1 pytanie do tego tekstu\.$/m)
  assert.match(sentence('pl', 3), /^Ułóż dokładnie 3 pytania do tego tekstu\.$/m)
  assert.match(sentence('pl', 5), /^Ułóż dokładnie 5 pytań do tego tekstu\.$/m)
})

test('every shipped prompt is written in its own language', () => {
  for (const [id, text] of tree.texts) {
    if (id.startsWith('builtin/system/pl/')) assert.match(text, /[ąćęłńóśźż]/, id)
    else assert.match(text, /^[\n\x20-\x7e]*$/, id)
  }
})

test('every shipped prompt says how to treat instructions inside the text, and asks only for the result', () => {
  for (const [id, text] of tree.texts) {
    assert.match(text, /instructions|polece(?:nia|ń)/i, id)
    if (!id.endsWith('/chat-conversation-simple'))
      assert.match(text, /^(?:Return only|Zwróć wyłącznie) /m, id)
  }
})
