/**
 * Gives out client ids: growing, also through restarts, each with a secret that proves it.
 *
 * Ids come from blocks. A block is persisted before its first id is given out, so a new
 * coordinator begins above every id of its predecessors and writes only once per block.
 */
import { ClientSecrets } from './client-secrets.js'
import type { ClientIdentity, Identities } from './greeting.js'

/** Ids reserved at once. A restart wastes what is left of a block. */
export const CLIENT_ID_BLOCK = 65_536

export interface ClientIdSource {
  /** Ids from `next` up to, not including, `end` are reserved. */
  readonly next: number
  readonly end: number
  /** Hexadecimal. */
  readonly secret: string
  /** Makes a higher end durable. */
  readonly reserve: (end: number) => Promise<void>
}

export class ClientIds implements Identities {
  readonly whyNone = 'no client id is free at the moment'
  private next: number
  private end: number
  private readonly secrets: ClientSecrets
  private readonly reserve: (end: number) => Promise<void>
  private isReserving = false

  constructor(source: ClientIdSource) {
    this.next = source.next
    this.end = source.end
    this.secrets = new ClientSecrets(source.secret)
    this.reserve = source.reserve
  }

  /** A new identity; `undefined` while no id is reserved. */
  issue(): ClientIdentity | undefined {
    if (this.end - this.next < CLIENT_ID_BLOCK / 2) this.extend()
    if (this.next >= this.end) return undefined
    const clientId = this.next
    this.next += 1
    return { clientId, secret: this.secrets.of(clientId) }
  }

  isGenuine(clientId: number, secret: Uint8Array): boolean {
    return this.secrets.isGenuine(clientId, secret)
  }

  private extend(): void {
    if (this.isReserving) return
    this.isReserving = true
    const end = this.end + CLIENT_ID_BLOCK
    this.reserve(end)
      .then(() => {
        this.end = end
      })
      // The next id asked for tries again; what is reserved already is still good.
      .catch(() => {})
      .finally(() => {
        this.isReserving = false
      })
  }
}
