import assert from 'node:assert/strict'
import { test } from 'node:test'
import { placeholdersIn, renderPrompt } from '../../src/plugins/prompts/render-prompt.ts'
import { questionCount } from '../../src/routes/text/generate-questions.ts'

test('every occurrence of a placeholder is replaced', () => {
  assert.deepEqual(renderPrompt('##A## and ##B_2##, ##A##', { A: 'x', B_2: 'y' }), {
    text: 'x and y, x',
    missing: [],
  })
})

test('a value that looks like a placeholder is not replaced', () => {
  const { text } = renderPrompt('##A## ##B##', { A: '##B##', B: '##A##' })
  assert.equal(text, '##B## ##A##')
})

test('a value and the text next to it never form a placeholder', () => {
  assert.deepEqual(renderPrompt('##A##B##', { A: '##', B: 'no' }), { text: '##B##', missing: [] })
})

test('a value is inserted literally, even if it contains replacement patterns', () => {
  assert.equal(renderPrompt('<##A##>', { A: "$& $1 $' $$" }).text, "<$& $1 $' $$>")
})

test('an empty value replaces its placeholder', () => {
  assert.deepEqual(renderPrompt('<##A##>', { A: '' }), { text: '<>', missing: [] })
})

test('missing variables are listed once, and their placeholders stay', () => {
  assert.deepEqual(renderPrompt('##B## ##A## ##B##', { C: 'x' }), {
    text: '##B## ##A## ##B##',
    missing: ['B', 'A'],
  })
})

test('inherited properties are not variables', () => {
  const inherited: Record<string, string> = Object.create({ NAME: 'x' })
  assert.deepEqual(renderPrompt('##NAME##', inherited).missing, ['NAME'])
})

test('a heading between number signs is not a placeholder', () => {
  assert.deepEqual(placeholdersIn('##Role##\n## TASK ##\n##QUESTION_STR## ##QUESTION_STR##'), [
    'QUESTION_STR',
  ])
})

test('the Polish question count has the noun in the right form', () => {
  const nouns = new Map([
    ['pytanie', [1]],
    ['pytania', [2, 3, 4, 22, 34, 102, 123]],
    ['pytań', [0, 5, 10, 11, 12, 13, 14, 20, 21, 25, 31, 100, 101, 111, 112]],
  ])
  for (const [noun, counts] of nouns)
    for (const count of counts) assert.equal(questionCount(count, 'pl'), `${count} ${noun}`)
})

test('other languages have the English question count', () => {
  assert.equal(questionCount(1, 'en'), '1 question(s)')
  assert.equal(questionCount(5, 'de'), '5 question(s)')
  assert.equal(questionCount(5, undefined), '5 question(s)')
})
