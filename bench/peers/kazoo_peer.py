"""kazoo's lock as a contender: told by lines of JSON what to do, answers each with how long it took."""

import json
import logging
import queue
import sys
import threading
import time

from kazoo.client import KazooClient
from kazoo.exceptions import KazooException
from kazoo.protocol.states import KazooState

PATIENCE = 300
ENDURING_PAUSE = 0.005


class Crowd:
    """Two sessions: the first holder's, and that of all who wait, each waiter a thread of its own."""

    def __init__(self, peer, path, waiters):
        self.path = path
        self.holders = peer.session()
        self.waiters = peer.session()
        self.granted = queue.SimpleQueue()
        self.draining = False
        self.waiting = 0
        self.held = self.holders.Lock(path)
        self.held.acquire()
        for _ in range(waiters):
            self.join()

    def join(self):
        self.waiting += 1
        threading.Thread(target=self.wait, daemon=True).start()

    def wait(self):
        try:
            lock = self.waiters.Lock(self.path)
            lock.acquire()
            since = time.perf_counter_ns()
            if self.draining:
                lock.release()
            self.granted.put((since, lock))
        except Exception as error:  # told to whoever waits for a grant
            self.granted.put((None, error))

    def pass_on(self, times):
        started = time.perf_counter_ns()
        self.held.release()
        last, self.held = 0, None
        for _ in range(times):
            since, lock = self.granted.get(timeout=PATIENCE)
            if since is None:
                raise lock
            last, self.held = max(last, since), lock
        self.waiting -= times
        return last - started

    def drain(self):
        self.draining = True
        return self.pass_on(self.waiting)

    def disperse(self):
        for client in (self.holders, self.waiters):
            client.stop()
            client.close()


class Endurance:
    """Takes a lock and gives it back all the time, whatever happens, and holds another one meanwhile."""

    def __init__(self, peer, path):
        self.client = peer.session()
        self.path = path
        self.enough, self.over = threading.Event(), threading.Event()
        self.longest, self.doubt, self.losses = 0, 0, 0
        # How often a session has ended.
        self.ended = 0
        self.client.add_listener(self.note)
        self.granted = threading.Barrier(3)
        self.threads = [threading.Thread(target=work, daemon=True) for work in (self.take, self.hold)]
        for thread in self.threads:
            thread.start()
        self.granted.wait(PATIENCE)

    def note(self, state):
        self.ended += state == KazooState.LOST

    def insist(self, lock):
        """Takes the lock in the end. Only the same object finds a node that it made before a connection broke."""
        while True:
            try:
                if lock.acquire():
                    return
            except KazooException:
                pass
            time.sleep(ENDURING_PAUSE)

    def give_back(self, lock):
        """Deletes the node in the end: nobody else does as long as the session lives."""
        ended = self.ended
        while self.ended == ended:
            try:
                return lock.release()
            except KazooException:
                time.sleep(ENDURING_PAUSE)

    def take(self):
        lock = self.client.Lock(self.path + "/taken")
        last = None
        is_last = False
        while not is_last:
            is_last = self.enough.is_set()
            self.insist(lock)
            now = time.perf_counter_ns()
            if last is None:
                self.granted.wait(PATIENCE)
            else:
                self.longest = max(self.longest, now - last)
            last = now
            self.give_back(lock)
            time.sleep(ENDURING_PAUSE)

    def hold(self):
        lock = self.client.Lock(self.path + "/held")
        self.insist(lock)
        ended = self.ended
        self.granted.wait(PATIENCE)
        since = None
        while since is not None or not self.over.is_set():
            if self.ended != ended:
                since = since or time.perf_counter_ns()
                self.losses += 1
                lock = self.client.Lock(self.path + "/held")
                ended = self.ended
                self.insist(lock)
            elif self.client.state == KazooState.SUSPENDED:
                since = since or time.perf_counter_ns()
            elif since is not None:
                self.doubt += time.perf_counter_ns() - since
                since = None
            time.sleep(ENDURING_PAUSE)
        self.give_back(lock)

    def end(self):
        self.enough.set()
        self.threads[0].join()
        self.over.set()
        self.threads[1].join()
        self.client.stop()
        self.client.close()
        return {"nanos": self.longest, "doubt_nanos": self.doubt, "losses": self.losses}


class Peer:
    def session(self):
        client = KazooClient(hosts=self.address, timeout=self.session_seconds)
        client.start(timeout=60)
        return client

    def open(self, order):
        self.address = order["address"]
        self.session_seconds = order["session_millis"] / 1000
        self.client = self.session()
        # A lock looks for its directory when it is used first, so it is kept.
        self.locks, self.tries = {}, {}
        self.shares = {}
        # Those that many locks are dealt out to, and the locks by how many those are.
        self.dealt_to, self.dealt = [self.client], {}

    def lock(self, locks, path):
        if path not in locks:
            locks[path] = self.client.Lock(path)
        return locks[path]

    def acquire(self, order):
        self.held = self.lock(self.locks, order["lock"])
        started = time.perf_counter_ns()
        self.held.acquire()
        return time.perf_counter_ns() - started

    def release(self, order):
        started = time.perf_counter_ns()
        self.held.release()
        return time.perf_counter_ns() - started

    def attempt(self, order):
        lock = self.lock(self.tries, order["lock"])
        started = time.perf_counter_ns()
        if lock.acquire(blocking=False):
            raise RuntimeError("took a lock that is held")
        return time.perf_counter_ns() - started

    def gather(self, order):
        self.crowd = Crowd(self, order["lock"], order["count"])

    def hand_over(self, order):
        return self.crowd.pass_on(1)

    def join(self, order):
        self.crowd.join()

    def drain(self, order):
        return self.crowd.drain()

    def disperse(self, order):
        self.crowd.disperse()

    def independent(self, order):
        path, count, sessions = order["lock"], order["count"], order["sessions"]
        while len(self.dealt_to) < sessions:
            self.dealt_to.append(self.session())
        is_new = (path, sessions) not in self.dealt
        if is_new:
            dealt = [self.dealt_to[number % sessions].Lock(f"{path}/{number}") for number in range(count)]
            self.dealt[path, sessions] = dealt
        locks = self.dealt[path, sessions]

        def ready(number):
            if is_new:
                locks[number].acquire()
                locks[number].release()

        def use(number):
            for _ in range(order["cycles"]):
                locks[number].acquire()
                locks[number].release()

        return race(count, ready, use)

    def mix(self, order):
        path, count = order["lock"], order["count"]
        for task in range(count):
            if (path, task) not in self.shares:
                self.shares[path, task] = (self.client.ReadLock(path), self.client.WriteLock(path))

        def use(task):
            for cycle in range(order["cycles"]):
                lock = self.shares[path, task][(cycle * count + task) % 10 == 9]
                lock.acquire()
                lock.release()

        return race(count, lambda task: None, use)

    def connect(self, order):
        started = time.perf_counter_ns()
        self.newcomer = self.session()
        return time.perf_counter_ns() - started

    def first_grant(self, order):
        started = time.perf_counter_ns()
        self.first = self.newcomer.Lock(order["lock"])
        self.first.acquire()
        return time.perf_counter_ns() - started

    def disconnect(self, order):
        self.first.release()
        self.newcomer.stop()
        self.newcomer.close()

    def endure(self, order):
        self.endurance = Endurance(self, order["lock"])

    def endured(self, order):
        return self.endurance.end()


def race(count, ready, use):
    """Lets so many threads go at the same moment, once each is ready.

    How long from the first one's beginning to the last one's end, by their own clocks: whoever gives the start goes on when many
    have begun.
    """
    start = threading.Barrier(count + 1)
    begun, ended, failures = [], [], []

    def run(number):
        try:
            ready(number)
            start.wait()
            begun.append(time.perf_counter_ns())
            use(number)
            ended.append(time.perf_counter_ns())
        except Exception as error:  # told below
            failures.append(error)
            start.abort()

    threads = [threading.Thread(target=run, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    try:
        start.wait()
    except threading.BrokenBarrierError:
        pass  # whose failure it was is told below
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]
    return max(ended) - min(begun)


def main():
    # That connections break is no news where it is measured what follows.
    logging.getLogger("kazoo").addHandler(logging.NullHandler())
    # Many threads that wait, each with little to keep.
    threading.stack_size(256 * 1024)
    peer = Peer()
    for line in sys.stdin:
        order = json.loads(line)
        try:
            answer = getattr(peer, order["do"])(order) or 0
            answer = answer if isinstance(answer, dict) else {"nanos": answer}
        except Exception as error:  # whoever asked decides what it means
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
