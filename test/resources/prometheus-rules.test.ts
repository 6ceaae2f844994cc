import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { run } from '../helpers/programs/program.ts'

const rulesFile = join(import.meta.dirname, '../../resources/prometheus/rules.yaml')
const testsFile = join(import.meta.dirname, 'prometheus/rules-test.yaml')
const debianPackage = 'prometheus'

interface Rules {
  groups: { rules: { alert: string; expr: string; labels: Record<string, string> }[] }[]
}
interface RuleTests {
  tests: { alert_rule_test: { alertname: string; exp_alerts: unknown[] }[] }[]
}

const rules = (parse(readFileSync(rulesFile, 'utf8')) as Rules).groups.flatMap((group) => group.rules)
const cases = (parse(readFileSync(testsFile, 'utf8')) as RuleTests).tests.flatMap(
  (each) => each.alert_rule_test,
)

test('promtool accepts the alert rules, and each rule passes its tests', () => {
  const checked = run('promtool', ['check', 'rules', rulesFile], { debianPackage })
  assert.equal(checked.status, 0, checked.stdout + checked.stderr)
  const tested = run('promtool', ['test', 'rules', testsFile], { debianPackage })
  assert.equal(tested.status, 0, tested.stdout + tested.stderr)
})

test('each alert has a test in which it fires, and one in which it does not', () => {
  for (const { alert } of rules) {
    const own = cases.filter(({ alertname }) => alertname === alert)
    assert.ok(
      own.some(({ exp_alerts }) => exp_alerts.length > 0),
      `${alert} never fires`,
    )
    assert.ok(
      own.some(({ exp_alerts }) => exp_alerts.length === 0),
      `${alert} always fires`,
    )
  }
})

test('each alert has a severity', () => {
  assert.ok(rules.length > 10)
  for (const { alert, labels } of rules) assert.match(labels.severity ?? '', /^(?:critical|warning)$/, alert)
})
