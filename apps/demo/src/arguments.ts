/** What the demo was asked to do. Wrong usage throws a `TypeError`. */
import { parseArgs } from 'node:util'

const CHILDREN_DEFAULT = 4

export const HELP: string = `Usage: npm start -- [options]

Starts a kv node, loads every city of the world into it, reads them all back, kills one of its
processes, reads them all back again, and then finds cities as you type, here and on a page in
your browser.

Options
  --once             end after the checks; the exit code is 0 only if everything matched
  --serve            after the checks serve the page until the demo is stopped, without a keyboard
  --dir <path>       keep the data there  (a temporary directory, removed at the end)
  --children <n>     shard children of the node  (${CHILDREN_DEFAULT})
  --limit <n>        only the n most populous cities  (all)
  --help
`

export interface DemoOptions {
  readonly isOnce: boolean
  /** Nobody types here, but the page is served until a signal comes. */
  readonly isServing: boolean
  /** Where to keep the data; temporary if not given. */
  readonly directory: string | undefined
  readonly children: number
  /** How many cities; all if not given. */
  readonly limit: number | undefined
}

export type Command =
  | { readonly type: 'help' }
  | { readonly type: 'run'; readonly options: DemoOptions }

export function readArguments(args: readonly string[]): Command {
  const { values } = parseArgs({
    args: [...args],
    options: {
      once: { type: 'boolean', default: false },
      serve: { type: 'boolean', default: false },
      dir: { type: 'string' },
      children: { type: 'string' },
      limit: { type: 'string' },
      help: { type: 'boolean', short: 'h', default: false },
    },
  })
  if (values.help) return { type: 'help' }
  if (values.once && values.serve) throw new TypeError('--once ends, --serve does not: give one')
  if (values.dir === '') throw new TypeError('--dir is a path')
  const options = {
    isOnce: values.once,
    isServing: values.serve,
    directory: values.dir,
    children: positive('--children', values.children) ?? CHILDREN_DEFAULT,
    limit: positive('--limit', values.limit),
  }
  return { type: 'run', options }
}

function positive(flag: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text)
  throw new TypeError(`${flag} is a whole number from 1 up, not ${text}`)
}
