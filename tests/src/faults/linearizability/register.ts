/**
 * One key, as a single copy of it would behave: a value, the version that names its write, and the
 * newest version that anybody was told. Pure.
 *
 * Versions only grow, and a write whose outcome is unknown has one that nobody was told: it is then
 * known to be above `floor`, until a read shows it.
 */
import type { Condition, Found, Value } from '../history/operation.js'

export interface Register {
  readonly value: Value | undefined
  /** `undefined`: not known, or there is no value. */
  readonly version: number | undefined
  /** Every version to come is larger. It outlives a delete. */
  readonly floor: number
}

export const EMPTY_REGISTER: Register = { value: undefined, version: undefined, floor: 0 }

/** The register if it can have shown this, together with what that tells of its version. */
export function observe(register: Register, found: Found | undefined): Register | undefined {
  if (found === undefined) return register.value === undefined ? register : undefined
  if (found.value !== register.value) return undefined
  return found.version === undefined ? register : withVersion(register, found.version)
}

function withVersion(register: Register, version: number): Register | undefined {
  if (register.version === version) return register
  if (register.version !== undefined || version <= register.floor) return undefined
  return { value: register.value, version, floor: version }
}

/** `version` is `undefined` if nobody was told. */
export function write(
  register: Register,
  value: Value,
  version: number | undefined,
): Register | undefined {
  if (version === undefined) return { value, version, floor: register.floor }
  return version > register.floor ? { value, version, floor: version } : undefined
}

export function remove({ floor }: Register): Register {
  return { value: undefined, version: undefined, floor }
}

/** The register if the condition can have held. */
export function satisfy(register: Register, condition: Condition): Register | undefined {
  if (condition === null) return register.value === undefined ? register : undefined
  return register.value === undefined ? undefined : withVersion(register, condition)
}

/** The register if the condition can have failed because of `current`. */
export function refuse(
  register: Register,
  condition: Condition,
  current: Found | undefined,
): Register | undefined {
  const holds = condition === null ? current === undefined : current?.version === condition
  return holds ? undefined : observe(register, current)
}

/** Equal for equal registers. */
export function registerKey({ value, version, floor }: Register): string {
  const shown = typeof value === 'string' ? `'${value}` : String(value)
  return `${shown} ${version ?? '?'} ${floor}`
}
