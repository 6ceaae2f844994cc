import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { stripTypeScriptTypes } from 'node:module'
import { join } from 'node:path'
import { test } from 'node:test'

const source = join(import.meta.dirname, '../../src')

/**
 * Expressions that take a time which grows with the square of some text, and why that does no harm. Each is a file and what its
 * expression begins with.
 */
const excused: Readonly<Record<string, string>> = {
  'plugins/errors/index.ts /([\\w.-]+\\/': "one line of the router's own stack",
  'relay/attempt/safe-text.ts /\\b[a-z0-9-]+(?:\\.': 'the first 1,024 characters of a text',
}

interface Expression {
  file: string
  text: string
  expression: RegExp
}

/** A literal where a value may stand; a slash in a class or behind a backslash does not end it. */
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

/** Texts that make an expression try much and fail late: a part of it many times, with a start that fits and an end that does not. */
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

/** Milliseconds of this thread's processor time; the least of some tries, because others use the machine too. */
function timeOf(expression: RegExp, text: string, enoughMs: number): number {
  let least = Number.POSITIVE_INFINITY
  for (let tries = 0; tries < 4 && least > enoughMs; tries++) {
    const before = process.threadCpuUsage()
    expression.test(text)
    const { user, system } = process.threadCpuUsage(before)
    least = Math.min(least, (user + system) / 1_000)
  }
  return least
}

const shortBytes = 8 * 1024
/** A square of 8 KiB takes from 15 ms upwards, one pass a fifth of one. */
const shortMs = 6
const longBytes = 1024 * 1024
const longMs = 500

test('S22 each regular expression takes a time in proportion to its text', () => {
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
      const ms = timeOf(each.expression, make(shortBytes), shortMs)
      if (ms > worst.ms) worst = { ms, make }
      assert.ok(ms < shortMs, `${each.file}: ${each.text} takes ${ms} ms for ${JSON.stringify(make(16))}`)
    }
    const ms = timeOf(each.expression, worst.make(longBytes), longMs)
    assert.ok(ms < longMs, `${each.file}: ${each.text} takes ${ms} ms for 1 MiB`)
  }
  assert.deepEqual([...unused], [], 'an excuse for an expression that is no longer there')
})

test('S22 the search for such expressions finds one', () => {
  const bad = { file: '', text: '', expression: /^(?:\d+\.?\d*)$/ }
  const slow = [...adversaries(bad)].some(
    (make) => timeOf(bad.expression, make(shortBytes), shortMs) > shortMs,
  )
  assert.ok(slow)
})
