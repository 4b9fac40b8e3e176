/**
 * Entry point of a shard child: connects the two channels of its parent to a host of shards.
 *
 * It outlives its parent only for as long as it takes to finish what it acknowledged.
 */
import { Socket } from 'node:net'
import { pino } from 'pino'
import type { Logger } from 'pino'
import type { Configuration, FromChild, ToChild } from '../link/control.js'
import { isControl } from '../link/control.js'
import { DataLink } from '../link/data-link.js'
import { DirectPort } from './direct-port.js'
import { Host } from './host.js'

/** The parent's end of the data socket is the fork's fifth stdio entry. */
const DATA_SOCKET_FD = 4
/** How long to finish at most once the parent is gone or has asked to stop. */
const FINISH_MS = 8_000

let host: Host | undefined
let door: DirectPort | undefined
let isEnding = false

function report(message: FromChild): void {
  // A parent that has just been killed is heard of by `disconnect`, and this ends in good order: an
  // error that nobody takes would end it in the middle of what it acknowledged.
  if (process.connected) process.send?.(message, undefined, undefined, () => undefined)
}

async function configure(configuration: Configuration): Promise<void> {
  const logger = pino({
    level: configuration.logLevel,
    base: { child: configuration.childId, pid: process.pid },
  })
  const configured = new Host({
    configuration,
    logger,
    report,
    endProcess: (reason) => {
      logger.fatal(
        { err: reason },
        'a commit of lmdb 3.5.6 failed, which may overwrite memory: this process ends, to be replaced',
      )
      process.exit(1)
    },
  })
  host = configured
  const link = new DataLink(new Socket({ fd: DATA_SOCKET_FD, readable: true, writable: true }), {
    onFrame: (frame) => {
      clients.onFrame(frame)
    },
    onChunkEnd: () => {
      configured.onChunkEnd()
    },
    onDrain: () => {
      clients.onDrain()
    },
    onEnd: () => {
      void end()
    },
  })
  const clients = configured.attach(link)
  // The unforeseen must end the process: it is replaced.
  process.on('unhandledRejection', (reason) => {
    logger.fatal({ err: reason }, 'unhandled rejection')
    process.exit(1)
  })
  // Backups are told to come here as soon as it has started.
  await configured.listen()
  report({ type: 'started', port: await openDoor(configured, configuration, logger) })
}

async function openDoor(
  configured: Host,
  configuration: Configuration,
  logger: Logger,
): Promise<number> {
  const { direct: access } = configuration
  if (access === undefined) return 0
  const opened = await DirectPort.open({ configuration, access, host: configured, logger })
  door = opened.door
  return opened.port
}

async function end(): Promise<void> {
  if (isEnding) return
  isEnding = true
  setTimeout(() => process.exit(1), FINISH_MS).unref()
  door?.drain()
  await host?.close()
  await door?.close()
  process.exit(0)
}

process.on('message', (message: unknown) => {
  if (!isControl<ToChild>(message)) return
  switch (message.type) {
    case 'configure':
      void configure(message.configuration)
      return
    case 'open':
      void host?.replicas.open(message.place)
      return
    case 'back':
      void host?.replicas.back(message.place)
      return
    case 'inSync':
      host?.replicas.onInSync(message.shard, message.epoch, message.inSync)
      return
    case 'release':
      void host?.replicas.release(message.shard, message.hosting)
      return
    case 'ping':
      report({ type: 'pong', nonce: message.nonce })
      return
    case 'report':
      if (host !== undefined) {
        const directConnections = door?.connectionCount ?? 0
        const measured = { ...host.measure(), directConnections }
        report({ type: 'report', nonce: message.nonce, report: measured })
      }
      return
    case 'stop':
      void end()
  }
})
process.on('disconnect', () => void end())
// A terminal sends these to the whole group; the parent decides when a child ends.
process.on('SIGINT', () => undefined)
process.on('SIGTERM', () => undefined)
