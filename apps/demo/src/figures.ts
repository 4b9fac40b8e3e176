/** Figures as people read them. */

const WHOLE = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

export function whole(value: number): string {
  return WHOLE.format(value)
}

export function seconds(elapsedMs: number): string {
  return `${(elapsedMs / 1000).toFixed(1)} s`
}

export function milliseconds(elapsedMs: number): string {
  return `${elapsedMs.toFixed(elapsedMs < 10 ? 2 : elapsedMs < 100 ? 1 : 0)} ms`
}

export function megabytes(bytes: number): string {
  return `${(bytes / 1e6).toFixed(1)} MB`
}

export function perSecond(count: number, elapsedMs: number): number {
  return elapsedMs > 0 ? (count / elapsedMs) * 1000 : 0
}

/** `1 city`, `2 cities`. */
export function counted(count: number, one: string, many: string): string {
  return `${whole(count)} ${count === 1 ? one : many}`
}
