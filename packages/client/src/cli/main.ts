#!/usr/bin/env node
/**
 * `kv`: the client as a program. Reads the command line, does the one thing it was asked, and ends.
 */
import { once } from 'node:events'
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'
import { createClient, KvError } from '../index.js'
import type { UntypedClient } from '../kv-client.js'
import { bench } from './bench.js'
import type { Command, Invocation, Target } from './command-line.js'
import { HELP, readCommandLine } from './command-line.js'
import type { Output } from './data-commands.js'
import { get, increment, list, remove, set, watch } from './data-commands.js'
import { scale, status } from './node-requests.js'

type DataCommand = Exclude<Command, { readonly type: 'help' | 'version' | 'status' | 'scale' }>

const EXIT_NOT_DONE = 1
const EXIT_USAGE = 2

async function main(): Promise<void> {
  let invocation: Invocation
  try {
    invocation = readCommandLine(process.argv.slice(2), process.env)
  } catch (error) {
    complain((error as Error).message)
    process.stderr.write('Try kv --help.\n')
    process.exitCode = EXIT_USAGE
    return
  }
  const ending = endOnSignals()
  try {
    if (!(await run(invocation, ending))) process.exitCode = EXIT_NOT_DONE
  } catch (error) {
    if (ending.aborted) return
    complain(
      error instanceof KvError ? `${error.code}: ${error.message}` : (error as Error).message,
    )
    process.exitCode = error instanceof TypeError ? EXIT_USAGE : EXIT_NOT_DONE
  }
}

/** Whether it did what it was asked for. */
async function run(invocation: Invocation, ending: AbortSignal): Promise<boolean> {
  const { command, target, isJson } = invocation
  const out: Output = { line, complain, isJson }
  if (command.type === 'help') process.stdout.write(HELP)
  else if (command.type === 'version') process.stdout.write(`${packageVersion()}\n`)
  else if (command.type === 'status') return status(target, out)
  else if (command.type === 'scale') return scale(target, command.children, out)
  else return withClient(await filledIn(command), target, out, ending)
  return true
}

async function withClient(
  command: DataCommand,
  { url, token, timeoutMs }: Target,
  out: Output,
  ending: AbortSignal,
): Promise<boolean> {
  await using client = createClient({ url, token, timeout: timeoutMs, name: 'kv' })
  return await perform(client, command, out, ending)
}

function perform(
  client: UntypedClient,
  command: DataCommand,
  out: Output,
  ending: AbortSignal,
): Promise<boolean> {
  switch (command.type) {
    case 'get':
      return get(client, command, out)
    case 'set':
      return set(client, command, out)
    case 'delete':
      return remove(client, command, out)
    case 'increment':
      return increment(client, command, out)
    case 'list':
      return list(client, command, out)
    case 'watch':
      return watch(client, command, out, ending)
    case 'bench':
      return bench(client, command.load, out, ending)
  }
}

/** `-` as a value stands for what comes from standard input, without the newline at its end. */
async function filledIn(command: DataCommand): Promise<DataCommand> {
  if (command.type !== 'set' || command.text !== '-') return command
  return { ...command, text: (await text(process.stdin)).replace(/\r?\n$/, '') }
}

async function line(content: string): Promise<void> {
  if (!process.stdout.write(`${content}\n`)) await once(process.stdout, 'drain')
}

function complain(content: string): void {
  process.stderr.write(`kv: ${content}\n`)
}

/** Aborts on SIGINT and SIGTERM, and when nobody reads any more, as after `kv list | head`. */
function endOnSignals(): AbortSignal {
  const ending = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => ending.abort())
  }
  process.stdout.on('error', () => process.exit())
  return ending.signal
}

function packageVersion(): string {
  const ownPackage = createRequire(import.meta.url)
  return (ownPackage('@kv/client/package.json') as { version: string }).version
}

void main()
