/**
 * Values as they are stored: what names them, and a tail of some length that follows from it. So
 * logs and states grow as those of real users do, and a value of which a part is missing is noticed.
 */
const PADDING_MAX = 4_096
/** One value in so many is long, the others take little time to send. */
const LONG_ONE_IN = 16
const SHORT_PADDING_MAX = 160
/** Values whose names begin so are long, all of them, and logs grow fast. */
export const LONG_PREFIX = 'w'
const LONG_PADDING_MAX = 16_384

export function padded(value: string | number): string | number {
  return typeof value === 'number' ? value : `${value}|${tailOf(value)}`
}

/** What names the value. One that is not whole is told as it is found, and nobody wrote such a one. */
export function unpadded(stored: unknown): string | number {
  if (typeof stored === 'number') return stored
  if (typeof stored !== 'string') return `not a value: ${JSON.stringify(stored)}`
  const end = stored.indexOf('|')
  const value = stored.slice(0, Math.max(end, 0))
  return stored === padded(value) ? value : `not whole: ${stored.slice(0, 80)}`
}

function tailOf(value: string): string {
  let hash = 0
  for (let index = 0; index < value.length; index += 1) {
    hash = (Math.imul(hash, 31) + value.charCodeAt(index)) >>> 0
  }
  const letter = String.fromCharCode(97 + (hash % 26))
  if (value.startsWith(LONG_PREFIX)) return letter.repeat((hash >>> 8) % LONG_PADDING_MAX)
  const isLong = hash % LONG_ONE_IN === 0
  const length = (hash >>> 8) % (isLong ? PADDING_MAX : SHORT_PADDING_MAX)
  return letter.repeat(length)
}
