import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'

const source = join(import.meta.dirname, '../../src')

/**
 * Regular expressions that take quadratic time in some text, and why that does no harm. Each entry is a file and
 * the beginning of its expression.
 */
const excused: Readonly<Record<string, string>> = {
  'relay/attempt/safe-text.ts /\\b[a-z0-9-]+(?:\\.': 'the first 1,024 characters of a text',
}

interface Expression {
  file: string
  text: string
  expression: RegExp
}

/** A regular expression literal in an expression position; a slash in a class or after a backslash does not end it. */
const literal =
  /(?<=[(,=:!?&|[{;\n]\s*|return\s+)\/((?:[^/\\\n[*]|\\.|\[(?:[^\]\\\n]|\\.)*\])(?:[^/\\\n[]|\\.|\[(?:[^\]\\\n]|\\.)*\])*)\/([dgimsuvy]*)/g

function expressions(): Expression[] {
  const files = readdirSync(source, { recursive: true, encoding: 'utf8' })
  return files
    .filter((file) => file.endsWith('.ts'))
    .flatMap((file) => {
      const code = stripTypeScriptTypes(readFileSync(join(source, file), 'utf8'))
      const bare = code.replaceAll(/^\s*(?:\/?\*|\/\/).*$/gm, '')
      return [...bare.matchAll(literal)].map(([text, body = '', flags = '']) => ({
        file,
        text,
        expression: new RegExp(body, flags.replaceAll(/[gy]/g, '')),
      }))
    })
}

/**
 * Texts that make an expression backtrack a lot and fail late: a part of it many times, with a start that
 * matches and an end that does not.
 */
function* adversaries({ expression }: Expression): Generator<(bytes: number) => string> {
  const words = [...new Set(expression.source.replaceAll(/\\./g, ' ').match(/[A-Za-z_]{2,}/g) ?? [])]
  const signs = new Set([
    'a',
    '1',
    ' ',
    '/',
    '.',
    '\\"',
    ...expression.source.replaceAll(/[^\x20-\x7e]|\\./g, ''),
  ])
  for (const unit of [...signs, ...words, 'a.', '1.', 'a/', '\r\n', '\t']) {
    for (const start of ['', 'a', ...words.slice(0, 3)]) {
      for (const end of ['', '!', '\0']) {
        yield (bytes) => start + unit.repeat(Math.ceil(bytes / unit.length)) + end
      }
    }
  }
}

/** Milliseconds; the minimum of several runs because other processes use the machine too. */
function timeOf(expression: RegExp, text: string, enoughMs: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < 8 && least > enoughMs; tries++) {
    const from = performance.now()
    expression.test(text)
    least = Math.min(least, performance.now() - from)
  }
  return least
}

const shortBytes = 8 * 1024
/** A third of what quadratic time takes on this machine: 15 ms or more, while one linear pass takes a fifth of one. */
const shortMs = timeOf(/^(?:\d+\.?\d*)$/, `${'1'.repeat(shortBytes)}!`, 0) / 3
/** A quarter of the text takes a sixteenth of the time: what takes less needs no longer text. */
const firstBytes = shortBytes / 4
const firstMs = shortMs / 16
/** Milliseconds for the short text; for the first part of it if that is fast enough. */
function shortMsOf(expression: RegExp, make: (bytes: number) => string): number {
  const ms = timeOf(expression, make(firstBytes), firstMs)
  return ms < firstMs ? ms : timeOf(expression, make(shortBytes), shortMs)
}

const longBytes = 1024 * 1024
const longMs = 500

test('S22 each regular expression takes time proportional to its text', () => {
  const found = expressions()
  assert.ok(found.length > 100, `${found.length} found`)
  const unused = new Set(Object.keys(excused))
  for (const each of found) {
    const name = Object.keys(excused).find((start) => `${each.file} ${each.text}`.startsWith(start))
    if (name !== undefined) {
      unused.delete(name)
      continue
    }
    let worst = { ms: 0, make: (_bytes: number) => '' }
    for (const make of adversaries(each)) {
      const ms = shortMsOf(each.expression, make)
      if (ms > worst.ms) worst = { ms, make }
      assert.ok(ms < shortMs, `${each.file}: ${each.text} takes ${ms} ms for ${JSON.stringify(make(16))}`)
    }
    const ms = timeOf(each.expression, worst.make(longBytes), longMs)
    assert.ok(ms < longMs, `${each.file}: ${each.text} takes ${ms} ms for 1 MiB`)
  }
  assert.deepEqual([...unused], [], 'an exception for an expression that no longer exists')
})

test('S22 the search for slow expressions finds one', () => {
  const bad = { file: '', text: '', expression: /\d+!$/ }
  const slow = [...adversaries(bad)].some((make) => shortMsOf(bad.expression, make) > shortMs)
  assert.ok(slow)
})
