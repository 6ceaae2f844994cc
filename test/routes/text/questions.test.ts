import assert from 'node:assert/strict'
import { test } from 'node:test'
import { readQuestions } from '../../../src/routes/text/generate-questions.ts'

test('numbers, bullets and emphasis before a question are removed', () => {
  const lines = [
    '1. A?',
    '2) A?',
    '(3) A?',
    '- A?',
    '* A?',
    '• A?',
    '– A?',
    '> A?',
    '- 4. A?',
    '**5.** A?',
    '**A?**',
    '_A?_',
    'Q6: A?',
    'Pytanie 7: A?',
    '  8.A?  ',
  ]
  assert.deepEqual(
    readQuestions(lines.join('\n'), 99),
    lines.map(() => 'A?'),
  )
})

test('characters that belong to the question are kept', () => {
  const lines = [
    '2024. roku co się stało?',
    '3.5 procent czego?',
    '12:30 to która godzina?',
    '-5 stopni to zimno?',
    '(Kto) to jest?',
    'Quo vadis?',
    'Kto powiedział „dlaczego?”',
  ]
  assert.deepEqual(readQuestions(lines.join('\r\n'), 99), lines)
  assert.deepEqual(readQuestions('2. 2024. roku?', 1), ['2024. roku?'])
})

test('questions of all blocks are returned, and lines that are not questions are ignored', () => {
  const answer = 'Sure, here are the questions:\n\n1. A?\n2. B?\n\nAnd more\n\n3. C?\n\nNONE\nBRAK'
  assert.deepEqual(readQuestions(answer, 99), ['A?', 'B?', 'C?'])
  assert.deepEqual(readQuestions('NONE', 5), [])
  assert.deepEqual(readQuestions('', 5), [])
})

test('at most the requested number of questions is returned', () => {
  assert.deepEqual(readQuestions('A?\nB?\nC?', 2), ['A?', 'B?'])
})

test('question marks of other scripts are recognised', () => {
  assert.deepEqual(readQuestions('1. 这是什么？\n2. ما هذا؟', 9), ['这是什么？', 'ما هذا؟'])
})
