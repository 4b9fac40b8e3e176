/**
 * Entry of the demo: `npm start`. Exit codes: 0 everything matched, 1 something did not or failed,
 * 2 wrong usage, 128 + n ended by signal n.
 */
import type { Command } from './arguments.js'
import { HELP, readArguments } from './arguments.js'
import { openDataDirectory } from './data-directory.js'
import { runDemo } from './demo.js'
import { Interruption } from './interruption.js'
import { Terminal } from './terminal.js'

const EXIT_FAILURE = 1
const EXIT_USAGE = 2

async function main(): Promise<number> {
  let command: Command
  try {
    command = readArguments(process.argv.slice(2))
  } catch (error) {
    complain(error)
    process.stderr.write('Try npm start -- --help.\n')
    return EXIT_USAGE
  }
  if (command.type === 'help') {
    process.stdout.write(HELP)
    return 0
  }
  return run(command)
}

async function run({ options }: Extract<Command, { type: 'run' }>): Promise<number> {
  const interruption = new Interruption()
  // Whoever reads us may stop reading: there is nobody left to show anything to.
  process.stdout.on('error', () => interruption.stop(EXIT_FAILURE, 'nobody reads the output'))
  const terminal = new Terminal(process.stdout)
  const directory = openDataDirectory(options.directory)
  const keyboard =
    process.stdin.isTTY && terminal.isLive && !options.isOnce && !options.isServing
      ? process.stdin
      : undefined
  try {
    const { signal } = interruption
    const isGood = await runDemo({ options, directory, terminal, keyboard, signal })
    return isGood ? 0 : EXIT_FAILURE
  } catch (error) {
    complain(error)
    return interruption.exitCode ?? EXIT_FAILURE
  } finally {
    directory.remove()
  }
}

function complain(error: unknown): void {
  process.stderr.write(`\nkv demo: ${error instanceof Error ? error.message : String(error)}\n`)
}

process.exitCode = await main()
