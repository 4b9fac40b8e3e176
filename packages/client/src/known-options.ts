/**
 * Which options a call knows. Pure.
 *
 * A name that is none is a slip of the pen (`tll`): to ignore it would be to do something else than
 * was asked for. It is refused, with the names that were probably meant.
 */
export type KnownOptions = ReadonlySet<string>

const OF_CALLS = ['signal', 'timeout']
const OF_READS = [...OF_CALLS, 'consistency']
const OF_EXPIRY = ['ttl', 'expiresAt', 'keepTtl']
const OF_RANGES = ['prefix', 'gt', 'gte', 'lt', 'lte']

export const CALL_OPTIONS: KnownOptions = new Set(OF_CALLS)
export const READ_OPTIONS: KnownOptions = new Set(OF_READS)
export const SET_OPTIONS: KnownOptions = new Set([...OF_CALLS, ...OF_EXPIRY, 'ifVersion'])
export const INCREMENT_OPTIONS: KnownOptions = new Set([...OF_CALLS, 'ttl', 'min', 'max'])
export const UPDATE_OPTIONS: KnownOptions = new Set([...OF_CALLS, ...OF_EXPIRY, 'retries'])
export const ATOMIC_SET_OPTIONS: KnownOptions = new Set(OF_EXPIRY)
export const ATOMIC_INCREMENT_OPTIONS: KnownOptions = new Set(['ttl', 'min', 'max'])
export const LOCK_OPTIONS: KnownOptions = new Set(['ttl', 'wait', 'signal'])
export const COUNT_OPTIONS: KnownOptions = new Set([...OF_READS, ...OF_RANGES])
export const LIST_OPTIONS: KnownOptions = new Set([
  ...COUNT_OPTIONS,
  'limit',
  'reverse',
  'cursor',
  'pageSize',
])
export const WATCH_OPTIONS: KnownOptions = new Set([...OF_CALLS, 'since', 'initial'])
export const CLEAR_OPTIONS: KnownOptions = new Set([...OF_CALLS, 'prefix', 'all'])
export const ENTRY_FIELDS: KnownOptions = new Set(['key', 'value', 'ttl'])
export const NAMESPACE_OPTIONS: KnownOptions = new Set(['schema', 'validateOnRead'])

/** Throws `TypeError` for what is no object, and for a name that is none. */
export function assertOptions(options: unknown, known: KnownOptions): asserts options is object {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`options is an object, not ${options === null ? 'null' : typeof options}`)
  }
  for (const name in options) {
    if (known.has(name) || (options as Record<string, unknown>)[name] === undefined) continue
    throw new TypeError(`there is no option ${JSON.stringify(name)}: ${advice(name, known)}`)
  }
}

function advice(name: string, known: KnownOptions): string {
  const slipsMax = Math.max(1, Math.floor(name.length / 3))
  const near = Array.from(known).filter((option) => slipsBetween(name, option) <= slipsMax)
  if (near.length > 0) return `did you mean ${near.join(' or ')}?`
  return `there are ${Array.from(known).join(', ')}`
}

/** Letters to insert, leave out, change or swap to get from one name to the other. */
function slipsBetween(left: string, right: string): number {
  const a = left.toLowerCase()
  const b = right.toLowerCase()
  let before: number[] = []
  let above = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const isSame = a[row - 1] === b[column - 1]
      let slips = Math.min(
        above[column - 1]! + (isSame ? 0 : 1),
        above[column]! + 1,
        current[column - 1]! + 1,
      )
      const isSwap = row > 1 && a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      if (isSwap) slips = Math.min(slips, before[column - 2]! + 1)
      current.push(slips)
    }
    before = above
    above = current
  }
  return above[b.length]!
}
