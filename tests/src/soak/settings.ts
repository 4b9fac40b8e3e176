/** What `npm run soak` is asked for. */
import { parseArgs } from 'node:util'

export interface SoakSettings {
  readonly minutes: number
  readonly children: number
  readonly most: number
  readonly keys: number
  readonly seed: number
  readonly json: string | undefined
}

export const USAGE = `npm run soak -- [options]

  --minutes <n>   how long, 0.5 too (default 3)
  --children <n>  shard children (default 2)
  --most <n>      as many as it grows to, and comes back from, all the time (default 3)
  --keys <n>      (default 60000)
  --seed <n>      of the calls; a new one if it is left out
  --json <file>   writes the samples there, too

Ends with code 1 if memory, descriptors or files grow, or if a call failed.
`

/** `undefined` if only help is wanted. Throws a `TypeError` for what can't be meant. */
export function settingsFrom(options: readonly string[]): SoakSettings | undefined {
  const { values } = parseArgs({
    args: [...options],
    options: {
      minutes: { type: 'string', default: '3' },
      children: { type: 'string', default: '2' },
      most: { type: 'string', default: '3' },
      keys: { type: 'string', default: '60000' },
      seed: { type: 'string', default: String(Date.now() % 2 ** 32) },
      json: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return undefined
  return {
    minutes: minutesOf(values.minutes),
    children: whole('children', values.children),
    most: whole('most', values.most),
    keys: whole('keys', values.keys),
    seed: whole('seed', values.seed),
    json: values.json,
  }
}

function minutesOf(text: string): number {
  const minutes = Number(text)
  if (minutes > 0 && minutes < Infinity) return minutes
  throw new TypeError(`--minutes is a number above 0, not ${text}`)
}

function whole(name: string, text: string): number {
  if (!/^\d{1,10}$/.test(text)) throw new TypeError(`--${name} is a whole number, not ${text}`)
  return Number(text)
}
