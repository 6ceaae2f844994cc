import type { Profile } from '../../../sdk/profile.ts'
import { anthropicRules } from './anthropic.ts'
import { compatibleRules } from './compatible.ts'
import { engineRules } from './engines.ts'
import { openaiRules } from './openai.ts'
import type { ProfileRule } from './rule.ts'

/**
 * Known limits of models, as of November 2026. All matching rules are merged in this order, then the `profile` of the provider.
 * A model that no rule names gets only the rules of its provider type.
 */
const profileRules: readonly ProfileRule[] = [
  ...openaiRules,
  ...compatibleRules,
  ...engineRules,
  ...anthropicRules,
]

interface ProfiledModel {
  type: string
  upstreamModel: string
  /** Host name of its server; empty if it has none. */
  hostname: string
}

/** Returns the profile of a model on a server: the matching rules, overridden by the operator's configuration. */
export function profileFor(model: ProfiledModel, configured: Profile | undefined): Profile {
  const matching = profileRules.filter((rule) => matches(rule, model))
  return Object.assign({}, ...matching.map(({ profile }) => profile), configured)
}

function matches(rule: ProfileRule, { type, upstreamModel, hostname }: ProfiledModel): boolean {
  const name = upstreamModel.toLowerCase().split('/').at(-1) ?? ''
  return (
    rule.type === type &&
    (rule.model?.test(name) ?? true) &&
    (rule.host?.test(hostname.toLowerCase()) ?? true)
  )
}
