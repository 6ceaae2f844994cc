import assert from 'node:assert/strict'
import { loadConfig } from '../../src/config/settings/settings.ts'
import { ConfigError } from '../../src/sdk/errors.ts'

/** The setting that results from a single variable. */
export function set(name: string, value: string) {
  return loadConfig({ [`LLM_ROUTER_${name}`]: value }).config
}

/** The errors of invalid variables; none if all are valid. */
export function errorsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env)
  } catch (error) {
    assert.ok(error instanceof ConfigError)
    return error.errors
  }
  return []
}
