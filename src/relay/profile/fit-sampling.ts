import { isObject, numberOf } from '../../lib/json/read.ts'
import type { Profile } from '../../sdk/profile.ts'
import {
  type Sampling,
  type SamplingField,
  type SamplingValues,
  samplingFields,
  spellings,
} from '../../sdk/sampling.ts'
import type { Drop } from '../../sdk/write-options.ts'

/** The sampling that a model accepts; changes are reported, unless the value is the model's default anyway. */
export function fitSampling(sampling: Readonly<Sampling>, profile: Profile, drop: Drop): Sampling {
  const fitted: Sampling = { ...sampling }
  for (const field of refusedFields(profile)) {
    const value = fitted[field]
    if (value === undefined) continue
    delete fitted[field]
    if (!isStandard(field, value)) drop(spellings[field].names[0], 'the model accepts only its default value')
  }
  fitRanges(fitted, profile, drop)
  fitTemperature(fitted, profile, drop)
  const { max_stops: most = Number.POSITIVE_INFINITY } = profile
  if (fitted.stop && fitted.stop.length > most) {
    fitted.stop = fitted.stop.slice(0, most)
    drop('stop', `the upstream accepts ${most} stop sequences; only the first were sent`)
  }
  return fitted
}

function fitRanges(sampling: Sampling, { ranges = {} }: Profile, drop: Drop): void {
  for (const field of numberFields) {
    const value = sampling[field]
    const [name] = spellings[field].names
    const [lowest, highest] = spellings[field].names.flatMap((each) => ranges[each] ?? [])
    if (value === undefined || lowest === undefined || highest === undefined) continue
    const nearest = Math.min(Math.max(value, lowest), highest)
    if (nearest === value) continue
    // TGI rejects a top_p of 1, which is its default.
    if (field === 'topP' && isStandard(field, value)) delete sampling[field]
    else {
      sampling[field] = nearest
      drop(name, `the upstream accepts ${lowest} to ${highest}; ${nearest} was sent`)
    }
  }
}

type NumberField = {
  [Field in SamplingField]: SamplingValues[Field] extends number ? Field : never
}[SamplingField]

/** Token limits and seeds have readers of their own; a range would change what they mean. */
const numberFields = samplingFields.filter(
  (field): field is NumberField => spellings[field].read === numberOf,
)

function fitTemperature(sampling: Sampling, profile: Profile, drop: Drop): void {
  const { max_temperature: highest, temperature_with_top_p: both = true } = profile
  const { temperature, topP } = sampling
  if (highest !== undefined && temperature !== undefined && temperature > highest) {
    sampling.temperature = highest
    drop('temperature', `the model does not accept values above ${highest}`)
  }
  if (both || temperature === undefined || topP === undefined) return
  if (temperature === 1 && topP < 1) delete sampling.temperature
  else {
    delete sampling.topP
    if (topP < 1) drop('top_p', 'the model accepts temperature or top_p, not both')
  }
}

/** The operator's defaults that the model accepts and the body does not set. */
export function fitDefaults(
  defaults: Readonly<Record<string, unknown>>,
  body: Readonly<Record<string, unknown>>,
  profile: Profile | undefined,
): Record<string, unknown> {
  const { unsupported = [], temperature_with_top_p: both = true } = profile ?? {}
  if (unsupported.length === 0 && both) return defaults
  const refused = new Set(refusedFields({ unsupported }).flatMap((field) => spellings[field].names))
  const fitted = without(defaults, refused)
  if (isObject(fitted.options)) fitted.options = without(fitted.options, refused)
  if (both) return fitted
  const options = isObject(body.options) ? body.options : body
  if (body.top_p !== undefined || options.top_p !== undefined)
    return without(fitted, new Set(['temperature']))
  const has = body.temperature ?? options.temperature ?? fitted.temperature
  return has === undefined || has === null ? fitted : without(fitted, new Set(['top_p']))
}

function without(
  members: Readonly<Record<string, unknown>>,
  names: ReadonlySet<string>,
): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([name]) => !names.has(name)))
}

function refusedFields({ unsupported = [] }: Profile): SamplingField[] {
  return samplingFields.filter((field) => spellings[field].names.some((name) => unsupported.includes(name)))
}

/** Whether a value is every model's default. */
function isStandard(field: SamplingField, value: unknown): boolean {
  switch (field) {
    case 'temperature':
    case 'n':
    case 'repetitionPenalty':
      return value === 1
    case 'topP':
      return typeof value === 'number' && value >= 0.99
    case 'presencePenalty':
    case 'frequencyPenalty':
    case 'topLogprobs':
      return value === 0
    case 'logprobs':
      return value === false
    default:
      return false
  }
}
