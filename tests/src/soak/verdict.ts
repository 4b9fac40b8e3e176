/**
 * Whether what a node used shows that it would go on like this: pure, so that it can be tested.
 *
 * What comes before the first third is warm-up: caches fill, segments grow to their size, files are
 * opened. From then on memory may grow by no more than a slope allows, descriptors by none, and files stay
 * in proportion to what is kept in them.
 */
import type { Usage } from './usage.js'

export const SLOPE_BYTES_PER_HOUR_MAX: number = 64 * 1_048_576
/** Below this a slope is noise, however short the run: a collection of garbage more or less. */
export const GROWTH_BYTES_MIN: number = 96 * 1_048_576
export const STATE_PER_LIVE_MAX = 3
export const DESCRIPTORS_MORE_MAX = 32

export interface Verdict {
  readonly slopeBytesPerHour: number
  /** By the line through all samples after the warm-up. */
  readonly growthBytes: number
  readonly statePerLive: number
  readonly descriptorsMore: number
  readonly logBytesMost: number
  /** What is wrong, in words. */
  readonly findings: readonly string[]
}

export function judge(samples: readonly Usage[]): Verdict {
  const kept = samples.slice(Math.ceil(samples.length / 3))
  const [first, last] = [kept[0], kept.at(-1)]
  if (first === undefined || last === undefined || kept.length < 3) {
    throw new RangeError(`${samples.length} samples say nothing`)
  }
  const slopePerMs = slopeOf(kept)
  const growthBytes = slopePerMs * (last.atMs - first.atMs)
  const middle = kept.slice(0, Math.ceil(kept.length / 2))
  const end = kept.slice(Math.ceil(kept.length / 2))
  const most = (some: readonly Usage[], of: keyof Usage): number =>
    Math.max(...some.map((usage) => usage[of]))
  const verdict = {
    slopeBytesPerHour: slopePerMs * 3_600_000,
    growthBytes,
    statePerLive: last.stateBytes / last.liveBytes,
    descriptorsMore: most(end, 'descriptors') - most(middle, 'descriptors'),
    logBytesMost: most(kept, 'logBytes'),
  }
  return { ...verdict, findings: findingsIn(verdict) }
}

function findingsIn(verdict: Omit<Verdict, 'findings'>): string[] {
  const { slopeBytesPerHour, growthBytes, statePerLive, descriptorsMore } = verdict
  const findings: string[] = []
  if (slopeBytesPerHour > SLOPE_BYTES_PER_HOUR_MAX && growthBytes > GROWTH_BYTES_MIN) {
    findings.push(`memory grows by ${Math.round(slopeBytesPerHour / 1_048_576)} MiB an hour`)
  }
  if (statePerLive > STATE_PER_LIVE_MAX) {
    findings.push(`files of trees are ${statePerLive.toFixed(1)} times what is kept in them`)
  }
  if (descriptorsMore > DESCRIPTORS_MORE_MAX) {
    findings.push(`${descriptorsMore} descriptors more than in the first half`)
  }
  return findings
}

/** Of the line of least squares, in bytes a millisecond. */
function slopeOf(samples: readonly Usage[]): number {
  const mean = (of: (usage: Usage) => number): number =>
    samples.reduce((sum, usage) => sum + of(usage), 0) / samples.length
  const atMs = mean((usage) => usage.atMs)
  const bytes = mean((usage) => usage.ownBytes)
  const spread = mean((usage) => (usage.atMs - atMs) ** 2)
  if (spread === 0) return 0
  return mean((usage) => (usage.atMs - atMs) * (usage.ownBytes - bytes)) / spread
}
