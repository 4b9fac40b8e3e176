#!/usr/bin/env node
/**
 * `kv-node`: a kv node as a program. Reads the command line, starts the node, prints the banner and
 * stays until a signal ends it.
 */
import { createRequire } from 'node:module'
import { resolve } from 'node:path'
import type { NodeOptions } from '../config.js'
import type { KvNode } from '../node.js'
import { startNode } from '../node.js'
import { banner } from './banner.js'
import type { Command } from './command-line.js'
import { HELP, readCommandLine } from './command-line.js'
import { scaleNode } from './scale.js'
import { endOnSignals } from './signals.js'
import { statusOf } from './status.js'
import { verifyReport } from './verify.js'

const EXIT_FAILURE = 1
const EXIT_USAGE = 2
const EXIT_DAMAGE = 3

function main(): void {
  let command: Command
  try {
    command = readCommandLine(process.argv.slice(2), process.env)
  } catch (error) {
    complain(error)
    process.stderr.write('Try kv-node --help.\n')
    process.exitCode = EXIT_USAGE
    return
  }
  switch (command.type) {
    case 'help':
      process.stdout.write(HELP)
      return
    case 'version':
      process.stdout.write(`${packageVersion()}\n`)
      return
    case 'serve':
      serve(command)
      return
    case 'verify':
      void verify(command.volumes.map((path) => resolve(path)))
      return
    case 'status':
      void operate(async () => {
        process.stdout.write(await statusOf(command.node, command.isJson))
      })
      return
    case 'scale':
      void operate(() =>
        scaleNode(command.node, command.children, (line) => process.stdout.write(`${line}\n`)),
      )
  }
}

function serve({ options }: Extract<Command, { type: 'serve' }>): void {
  const starting = startNode(options)
  endOnSignals({
    close: async () => {
      // A start that fails says so itself, below.
      const node = await starting.catch((): KvNode | undefined => undefined)
      await node?.close()
    },
    exit: (code) => process.exit(code),
    onFailure: complain,
  })
  starting.then(
    (node) => process.stdout.write(banner(node, packageVersion(), placesOf(options))),
    (error: unknown) => {
      complain(error)
      // Whether the options are wrong or the machine does not give what they ask for.
      process.exit(error instanceof TypeError ? EXIT_USAGE : EXIT_FAILURE)
    },
  )
}

/** Something is asked of a node that runs. */
async function operate(work: () => Promise<void>): Promise<void> {
  try {
    await work()
  } catch (error) {
    complain(error)
    process.exitCode = error instanceof TypeError ? EXIT_USAGE : EXIT_FAILURE
  }
}

function placesOf({ dataDir, volumes = [dataDir ?? ''] }: NodeOptions): string {
  return volumes.map((volume) => resolve(volume)).join(', ')
}

async function verify(volumes: readonly string[]): Promise<void> {
  try {
    // Only here does this process open a state: to serve it needs nothing of the storage.
    const { checkDataDirectory } = await import('../verify/data-directory-check.js')
    const report = await checkDataDirectory(volumes)
    process.stdout.write(verifyReport(volumes, report))
    process.exitCode = report.findings.length === 0 ? 0 : EXIT_DAMAGE
  } catch (error) {
    complain(error)
    process.exitCode = EXIT_FAILURE
  }
}

function complain(error: unknown): void {
  process.stderr.write(`kv-node: ${error instanceof Error ? error.message : String(error)}\n`)
}

function packageVersion(): string {
  const ownPackage = createRequire(import.meta.url)
  return (ownPackage('@kv/node/package.json') as { version: string }).version
}

main()
