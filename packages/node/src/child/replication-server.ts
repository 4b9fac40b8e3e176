/**
 * Listens for the backups of primaries that are here, or will be.
 *
 * A backup that comes before its primary waits: a promotion is told to several children at once, and
 * the new primary commits nothing before its followers have joined.
 */
import { unlink } from 'node:fs/promises'
import type { Server, Socket } from 'node:net'
import { createServer } from 'node:net'
import type { Channel, ChannelEvents, ChannelTarget } from '../link/replication-link.js'
import { AcceptedLink } from '../link/replication-link.js'
import type { ToFollower, ToPrimary } from '../shard/replication/messages.js'
import type { Conversation, Counterpart } from './conversation.js'

/** More than any shard has. */
const COPIES_MAX = 64

export interface ReplicationServerPorts {
  readonly shardCount: number
  /** Brings a follower to its primary; `undefined` if there is none here. */
  attach(target: ChannelTarget, to: Counterpart<ToFollower>): Conversation<ToPrimary> | undefined
  onError(error: Error): void
}

/** A backup that has come. */
interface Follower {
  readonly target: ChannelTarget
  readonly channel: Channel<ToFollower>
  /** None while it waits for a primary. */
  conversation: Conversation<ToPrimary> | undefined
  isOver: boolean
}

export class ReplicationServer {
  private readonly ports: ReplicationServerPorts
  private readonly server: Server
  private readonly links = new Set<AcceptedLink>()
  /** By shard, then copy: the latest that came. */
  private readonly followers = new Map<number, Map<number, Follower>>()
  private refusal: string | undefined

  constructor(ports: ReplicationServerPorts) {
    this.ports = ports
    this.server = createServer((socket) => {
      this.onConnection(socket)
    })
  }

  /** Resolves when backups can connect to the address, the path of a socket. */
  async listen(address: string): Promise<void> {
    // A child that was killed leaves its socket behind; on Windows there is no file.
    if (!address.startsWith('\\\\')) await unlink(address).catch(() => undefined)
    await new Promise<void>((resolve, reject) => {
      this.server.once('error', reject)
      this.server.listen(address, () => {
        this.server.off('error', reject)
        this.server.on('error', (error) => {
          this.ports.onError(error)
        })
        resolve()
      })
    })
  }

  /** A primary of the shard is here: those that wait for it are brought to it. */
  onPrimary(shard: number): void {
    for (const follower of this.followers.get(shard)?.values() ?? []) this.attach(follower)
  }

  /** The primary of the shard is gone; its backups come again once they know where to. */
  endAll(shard: number, reason: string): void {
    for (const follower of this.followers.get(shard)?.values() ?? []) {
      if (follower.conversation !== undefined) this.end(follower, reason)
    }
  }

  /** There will be no primary here any more: whoever follows or waits is told, now and later. */
  refuse(reason: string): void {
    this.refusal = reason
    for (const followers of this.followers.values()) {
      for (const follower of followers.values()) this.end(follower, reason)
    }
  }

  close(): void {
    this.server.close()
    for (const link of this.links) link.destroy()
  }

  private onConnection(socket: Socket): void {
    const link = new AcceptedLink(socket, {
      onOpen: (target, channel) => this.onOpen(target, channel),
      onEnd: (error) => {
        this.links.delete(link)
        if (error !== undefined) this.ports.onError(error)
      },
    })
    this.links.add(link)
  }

  private onOpen(target: ChannelTarget, channel: Channel<ToFollower>): ChannelEvents<ToPrimary> {
    const { shard, copy } = target
    if (shard >= this.ports.shardCount || copy >= COPIES_MAX) {
      throw new Error(`a follower of shard ${shard}, copy ${copy}: there is no such copy`)
    }
    const followers = this.followers.get(shard) ?? new Map<number, Follower>()
    this.followers.set(shard, followers)
    const former = followers.get(copy)
    if (former !== undefined) this.end(former, 'the copy has come again')
    const follower: Follower = { target, channel, conversation: undefined, isOver: false }
    followers.set(copy, follower)
    if (this.refusal === undefined) this.attach(follower)
    else this.end(follower, this.refusal)
    return {
      onMessage: (message) => {
        if (follower.isOver) return
        if (follower.conversation !== undefined) follower.conversation.onMessage(message)
        else this.end(follower, `a ${message.type} before any greeting`)
      },
      onEnd: () => {
        this.forget(follower)
      },
    }
  }

  private attach(follower: Follower): void {
    if (follower.isOver || follower.conversation !== undefined) return
    follower.conversation = this.ports.attach(follower.target, {
      send: (message) => {
        follower.channel.send(message)
      },
      broken: (reason) => {
        this.end(follower, reason)
      },
    })
    // It may have broken at once.
    if (follower.isOver) follower.conversation?.end()
  }

  private end(follower: Follower, reason: string): void {
    if (follower.isOver) return
    this.forget(follower)
    follower.channel.end(reason)
  }

  private forget(follower: Follower): void {
    if (follower.isOver) return
    follower.isOver = true
    const { shard, copy } = follower.target
    const followers = this.followers.get(shard)
    if (followers?.get(copy) === follower) followers.delete(copy)
    if (followers?.size === 0) this.followers.delete(shard)
    follower.conversation?.end()
  }
}
