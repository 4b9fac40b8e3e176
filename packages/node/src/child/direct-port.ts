/**
 * Where clients come straight to a child, past the coordinator (ADR 0025).
 *
 * It is the coordinator's relay, with the same greeting and the same limits, and with one lane: to the
 * host in this process. A client comes with the identity that the coordinator gave it; a child gives
 * out none, and knows no topology.
 */
import type { Server } from 'node:http'
import { setTimeout as delay } from 'node:timers/promises'
import { CLOSE_CODES, MESSAGE_BYTES_MAX, NO_CHILD } from '@kv/protocol'
import type { Topology } from '@kv/protocol'
import type { Logger } from 'pino'
import { ClientSecrets } from '../ingress/client-secrets.js'
import { Greeter } from '../ingress/greeting.js'
import { listen, newHttpServer } from '../ingress/listening.js'
import { LANE_BYTES_MAX, Relay } from '../ingress/relay.js'
import { takeUpgrades } from '../ingress/upgrades.js'
import type { Configuration, DirectAccess } from '../link/control.js'
import { localLink } from '../link/local-link.js'
import type { Host } from './host.js'

const SWEEP_INTERVAL_MS = 1_000

/** How long clients may take to answer the close. */
const GOODBYE_PATIENCE_MS = 500
const POLL_MS = 5

export interface DirectPortOptions {
  readonly configuration: Configuration
  readonly access: DirectAccess
  readonly host: Host
  readonly logger: Logger
}

export class DirectPort {
  private readonly relay: Relay
  private readonly server: Server
  private readonly sweeping: NodeJS.Timeout

  private constructor({ configuration, access, host, logger }: DirectPortOptions) {
    this.relay = newRelay(configuration, access, logger)
    const join = localLinkTo(host)
    const lane = this.relay.addLane(configuration.childId, join, () => undefined)
    lane.isOpen = true
    this.server = newHttpServer(access.connectionsMax)
    this.server.on('request', (_request, response) => {
      response.writeHead(426, { upgrade: 'websocket' }).end()
    })
    const hasToken = access.token !== undefined
    takeUpgrades(this.server, this.relay, { hasToken, allowed: access.origins })
    this.sweeping = setInterval(() => {
      this.relay.sweep()
    }, SWEEP_INTERVAL_MS)
  }

  /**
   * Resolves with the port, or with 0 if none could be had: clients then come through the
   * coordinator, as they would anyway if this one can't be reached.
   */
  static async open(options: DirectPortOptions): Promise<{ door: DirectPort; port: number }> {
    const door = new DirectPort(options)
    const { host, firstPort, lastPort } = options.access
    for (let port = firstPort; port <= lastPort; port += 1) {
      try {
        return { door, port: await listen(door.server, host, port) }
      } catch (error) {
        const isTaken = (error as NodeJS.ErrnoException).code === 'EADDRINUSE'
        if (!isTaken) options.logger.warn({ err: error, host, port }, 'a port could not be taken')
        if (!isTaken) return { door, port: 0 }
      }
    }
    options.logger.warn({ host, firstPort, lastPort }, 'no port of the range is free')
    return { door, port: 0 }
  }

  get connectionCount(): number {
    return this.relay.connectionCount
  }

  /** Takes nothing more. What is under way is answered if its shards still answer it. */
  drain(): void {
    this.server.close()
    this.relay.drain()
  }

  /** Lets the last answers leave, then lets go of everybody. */
  async close(): Promise<void> {
    clearInterval(this.sweeping)
    this.relay.closeAll(CLOSE_CODES.goingAway, 'the child ends')
    const giveUpAt = performance.now() + GOODBYE_PATIENCE_MS
    while (this.relay.connectionCount > 0 && performance.now() < giveUpAt) await delay(POLL_MS)
    this.relay.terminateAll()
    this.server.closeAllConnections()
  }
}

function localLinkTo(host: Host): Parameters<Relay['addLane']>[1] {
  return (handlers) =>
    localLink(handlers, (replies) => {
      const clients = host.attach(replies)
      return {
        onFrame: (frame) => {
          clients.onFrame(frame)
        },
        onChunkEnd: () => {
          host.onChunkEnd()
        },
      }
    })
}

function newRelay(
  { clusterId, shardCount, limits }: Configuration,
  access: DirectAccess,
  logger: Logger,
): Relay {
  const secrets = new ClientSecrets(access.clientSecret)
  const identities = {
    isGenuine: (clientId: number, secret: Uint8Array) => secrets.isGenuine(clientId, secret),
    issue: () => undefined,
    whyNone: 'a child takes only clients that its coordinator has welcomed',
  }
  const settings = {
    clusterId,
    limits: {
      valueBytesMax: limits.valueBytesMax,
      messageBytesMax: MESSAGE_BYTES_MAX,
      inFlightBytesMax: access.inFlightBytesMax,
    },
    connectionsMax: access.connectionsMax,
    laneBytesMax: LANE_BYTES_MAX,
    greeter: new Greeter(identities, access.token),
    now: () => performance.now(),
    onError: (error: unknown) => {
      logger.error({ err: error }, 'a message made the direct port fail')
    },
  }
  return new Relay(settings, topologyUnknown(shardCount))
}

/** What a child tells a client that comes to it: older than any that a coordinator has. */
function topologyUnknown(shardCount: number): Topology {
  const primaries = Array.from({ length: shardCount }, () => NO_CHILD)
  const epochs = Array.from({ length: shardCount }, () => 0)
  return { version: 0, shardCount, children: [], primaries, epochs, backups: [] }
}
