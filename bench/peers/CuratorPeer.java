// Curator's InterProcessMutex as a contender: told by lines of JSON what to do, answers each with how long it took.

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.BrokenBarrierException;
import java.util.concurrent.CyclicBarrier;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicLong;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.apache.curator.framework.CuratorFramework;
import org.apache.curator.framework.CuratorFrameworkFactory;
import org.apache.curator.framework.recipes.locks.InterProcessMutex;
import org.apache.curator.framework.recipes.locks.InterProcessReadWriteLock;
import org.apache.curator.framework.state.ConnectionState;
import org.apache.curator.retry.ExponentialBackoffRetry;

public final class CuratorPeer {
    private static final long PATIENCE_SECONDS = 300;
    private static final long ENDURING_PAUSE_MILLIS = 5;

    private final String address;
    private final int sessionMillis;
    private final CuratorFramework client;
    private final Map<String, InterProcessMutex> locks = new HashMap<>();
    private final Map<String, InterProcessMutex> tries = new HashMap<>();
    private final Map<String, InterProcessReadWriteLock> shared = new HashMap<>();
    /** Those that many locks are dealt out to, and the locks by how many those are. */
    private final List<CuratorFramework> dealtTo = new ArrayList<>();
    private final Map<String, List<InterProcessMutex>> dealt = new HashMap<>();
    private InterProcessMutex held;
    private Crowd crowd;
    private CuratorFramework newcomer;
    private InterProcessMutex first;
    private Endurance endurance;

    private CuratorPeer(String address, int sessionMillis) throws Exception {
        this.address = address;
        this.sessionMillis = sessionMillis;
        this.client = connect();
        dealtTo.add(client);
    }

    private CuratorFramework connect() throws Exception {
        CuratorFramework made =
                CuratorFrameworkFactory.newClient(address, sessionMillis, 60_000, new ExponentialBackoffRetry(100, 10));
        made.start();
        if (!made.blockUntilConnected(60, TimeUnit.SECONDS)) {
            throw new IllegalStateException("no session within a minute");
        }
        return made;
    }

    /** The lock is bound to the thread that has acquired it, so each waiter releases its own when it is told to. */
    private final class Waiter implements Runnable {
        final LinkedBlockingQueue<Boolean> release = new LinkedBlockingQueue<>();
        final Crowd crowd;
        volatile long since;
        volatile Exception failure;

        Waiter(Crowd crowd) {
            this.crowd = crowd;
        }

        @Override
        public void run() {
            try {
                InterProcessMutex lock = new InterProcessMutex(crowd.waiters, crowd.path);
                lock.acquire();
                since = System.nanoTime();
                if (crowd.draining) {
                    lock.release();
                    crowd.granted.put(this);
                } else {
                    crowd.granted.put(this);
                    release.take();
                    crowd.released.put(timed(lock::release));
                }
            } catch (Exception error) {
                failure = error;
                crowd.granted.add(this);
            }
        }
    }

    /** Two sessions: the first holder's, and that of all who wait. */
    private final class Crowd {
        final String path;
        final CuratorFramework holders;
        final CuratorFramework waiters;
        final LinkedBlockingQueue<Waiter> granted = new LinkedBlockingQueue<>();
        /** When a release was called. */
        final LinkedBlockingQueue<Long> released = new LinkedBlockingQueue<>();
        final List<Thread> threads = new ArrayList<>();
        volatile boolean draining;
        InterProcessMutex first;
        Waiter current;
        int waiting;

        Crowd(String path, int count) throws Exception {
            this.path = path;
            holders = connect();
            waiters = connect();
            first = new InterProcessMutex(holders, path);
            first.acquire();
            for (int i = 0; i < count; i++) {
                join();
            }
        }

        void join() {
            waiting++;
            Thread thread = new Thread(new Waiter(this));
            thread.setDaemon(true);
            threads.add(thread);
            thread.start();
        }

        long passOn(int times) throws Exception {
            long started;
            if (first != null) {
                started = timed(first::release);
                first = null;
            } else {
                current.release.put(true);
                started = released.take();
            }
            long last = Long.MIN_VALUE;
            for (int i = 0; i < times; i++) {
                Waiter next = granted.poll(PATIENCE_SECONDS, TimeUnit.SECONDS);
                if (next == null) {
                    throw new IllegalStateException("nobody was granted in time");
                }
                if (next.failure != null) {
                    throw next.failure;
                }
                last = Math.max(last, next.since);
                current = next;
            }
            waiting -= times;
            return last - started;
        }

        void disperse() throws Exception {
            holders.close();
            waiters.close();
            for (Thread thread : threads) {
                thread.interrupt();
            }
            for (Thread thread : threads) {
                thread.join(10_000);
            }
        }
    }

    private interface Work {
        void run() throws Exception;
    }

    /** Does it, and says when it was begun. */
    private static long timed(Work work) throws Exception {
        long started = System.nanoTime();
        work.run();
        return started;
    }

    private interface Part {
        void run(int number) throws Exception;
    }

    /**
     * Lets so many threads go at the same moment, once each is ready; how long from the first one's beginning to the last one's
     * end, by their own clocks: whoever gives the start goes on when many have begun.
     */
    private static long race(int count, Part ready, Part use) throws Exception {
        CyclicBarrier start = new CyclicBarrier(count + 1);
        LinkedBlockingQueue<Exception> failures = new LinkedBlockingQueue<>();
        AtomicLong first = new AtomicLong(Long.MAX_VALUE);
        AtomicLong last = new AtomicLong(Long.MIN_VALUE);
        List<Thread> threads = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int number = i;
            Thread thread = new Thread(() -> {
                try {
                    ready.run(number);
                    start.await();
                    first.accumulateAndGet(System.nanoTime(), Math::min);
                    use.run(number);
                    last.accumulateAndGet(System.nanoTime(), Math::max);
                } catch (Exception error) {
                    failures.add(error);
                    start.reset();
                }
            });
            threads.add(thread);
            thread.start();
        }
        try {
            start.await();
        } catch (BrokenBarrierException broken) {
            throw failures.take();
        }
        for (Thread thread : threads) {
            thread.join();
        }
        if (!failures.isEmpty()) {
            throw failures.take();
        }
        return last.get() - first.get();
    }

    private long independent(String path, int count, int sessions, int cycles) throws Exception {
        while (dealtTo.size() < sessions) {
            dealtTo.add(connect());
        }
        String key = path + " " + sessions;
        boolean isNew = !dealt.containsKey(key);
        List<InterProcessMutex> own = dealt.computeIfAbsent(key, k -> new ArrayList<>());
        for (int number = own.size(); number < count; number++) {
            own.add(new InterProcessMutex(dealtTo.get(number % sessions), path + "/" + number));
        }
        Part ready = number -> {
            if (isNew) {
                own.get(number).acquire();
                own.get(number).release();
            }
        };
        return race(count, ready, number -> {
            for (int cycle = 0; cycle < cycles; cycle++) {
                own.get(number).acquire();
                own.get(number).release();
            }
        });
    }

    private long mix(String path, int count, int cycles) throws Exception {
        InterProcessReadWriteLock lock =
                shared.computeIfAbsent(path, p -> new InterProcessReadWriteLock(client, p));
        return race(count, number -> {}, number -> {
            for (int cycle = 0; cycle < cycles; cycle++) {
                boolean writes = (cycle * count + number) % 10 == 9;
                InterProcessMutex side = writes ? lock.writeLock() : lock.readLock();
                side.acquire();
                side.release();
            }
        });
    }

    /** Takes a lock and gives it back all the time, whatever happens, and holds another one meanwhile. */
    private final class Endurance {
        final CuratorFramework own = connect();
        final String path;
        final CyclicBarrier granted = new CyclicBarrier(3);
        final Thread taking = new Thread(this::take);
        final Thread holding = new Thread(this::hold);
        volatile ConnectionState state = ConnectionState.CONNECTED;
        volatile boolean enough;
        volatile boolean over;
        volatile long longest;
        volatile long doubt;
        volatile int losses;

        Endurance(String path) throws Exception {
            this.path = path;
            own.getConnectionStateListenable().addListener((framework, now) -> state = now);
            for (Thread thread : List.of(taking, holding)) {
                thread.setDaemon(true);
                thread.start();
            }
            granted.await(PATIENCE_SECONDS, TimeUnit.SECONDS);
        }

        /** Takes the lock in the end. */
        InterProcessMutex insist(String of) {
            while (true) {
                try {
                    InterProcessMutex lock = new InterProcessMutex(own, of);
                    lock.acquire();
                    return lock;
                } catch (Exception error) {
                    pause();
                }
            }
        }

        /** What could not be deleted at once, Curator deletes in the background. */
        void giveBack(InterProcessMutex lock) {
            try {
                lock.release();
            } catch (Exception error) {
                pause();
            }
        }

        void pause() {
            try {
                Thread.sleep(ENDURING_PAUSE_MILLIS);
            } catch (InterruptedException error) {
                throw new IllegalStateException(error);
            }
        }

        void meet() {
            try {
                granted.await();
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }

        void take() {
            long last = 0;
            boolean isLast = false;
            while (!isLast) {
                isLast = enough;
                InterProcessMutex lock = insist(path + "/taken");
                long now = System.nanoTime();
                if (last == 0) {
                    meet();
                } else {
                    longest = Math.max(longest, now - last);
                }
                last = now;
                giveBack(lock);
                pause();
            }
        }

        /** A holder must doubt what it holds as long as the connection is suspended. */
        void hold() {
            InterProcessMutex lock = insist(path + "/held");
            meet();
            long since = 0;
            while (since != 0 || !over) {
                if (state == ConnectionState.LOST) {
                    since = since == 0 ? System.nanoTime() : since;
                    losses++;
                    lock = insist(path + "/held");
                    // It is told of what has happened a moment later.
                    while (state == ConnectionState.LOST) {
                        pause();
                    }
                } else if (state == ConnectionState.SUSPENDED) {
                    since = since == 0 ? System.nanoTime() : since;
                } else if (since != 0) {
                    doubt += System.nanoTime() - since;
                    since = 0;
                }
                pause();
            }
            giveBack(lock);
        }

        String end() throws Exception {
            enough = true;
            taking.join();
            over = true;
            holding.join();
            own.close();
            return "{\"nanos\":" + longest + ",\"doubt_nanos\":" + doubt + ",\"losses\":" + losses + "}";
        }
    }

    private long attempt(String path) throws Exception {
        InterProcessMutex lock = tries.computeIfAbsent(path, p -> new InterProcessMutex(client, p));
        long started = System.nanoTime();
        if (lock.acquire(0, TimeUnit.MILLISECONDS)) {
            throw new IllegalStateException("took a lock that is held");
        }
        return System.nanoTime() - started;
    }

    private long obey(String order) throws Exception {
        String path = text(order, "lock");
        int count = (int) number(order, "count");
        switch (text(order, "do")) {
            case "open":
                return 0;
            case "acquire": {
                held = locks.computeIfAbsent(path, p -> new InterProcessMutex(client, p));
                long started = System.nanoTime();
                held.acquire();
                return System.nanoTime() - started;
            }
            case "release": {
                long started = System.nanoTime();
                held.release();
                return System.nanoTime() - started;
            }
            case "attempt":
                return attempt(path);
            case "gather":
                crowd = new Crowd(path, count);
                return 0;
            case "hand_over":
                return crowd.passOn(1);
            case "join":
                crowd.join();
                return 0;
            case "drain":
                crowd.draining = true;
                return crowd.passOn(crowd.waiting);
            case "disperse":
                crowd.disperse();
                return 0;
            case "independent":
                return independent(path, count, (int) number(order, "sessions"), (int) number(order, "cycles"));
            case "mix":
                return mix(path, count, (int) number(order, "cycles"));
            case "connect": {
                long started = System.nanoTime();
                newcomer = connect();
                return System.nanoTime() - started;
            }
            case "first_grant": {
                long started = System.nanoTime();
                first = new InterProcessMutex(newcomer, path);
                first.acquire();
                return System.nanoTime() - started;
            }
            case "disconnect":
                first.release();
                newcomer.close();
                return 0;
            case "endure":
                endurance = new Endurance(path);
                return 0;
            default:
                throw new IllegalArgumentException("an unknown order: " + order);
        }
    }

    /** Orders are flat, and no text in them needs escapes. */
    private static String text(String order, String key) {
        Matcher matcher = Pattern.compile("\"" + key + "\":\"([^\"]*)\"").matcher(order);
        return matcher.find() ? matcher.group(1) : "";
    }

    private static long number(String order, String key) {
        Matcher matcher = Pattern.compile("\"" + key + "\":(\\d+)").matcher(order);
        return matcher.find() ? Long.parseLong(matcher.group(1)) : 0;
    }

    public static void main(String[] arguments) throws Exception {
        BufferedReader orders = new BufferedReader(new InputStreamReader(System.in));
        CuratorPeer peer = null;
        for (String order = orders.readLine(); order != null; order = orders.readLine()) {
            String answer;
            try {
                if (peer == null) {
                    peer = new CuratorPeer(text(order, "address"), (int) number(order, "session_millis"));
                }
                boolean isEnd = text(order, "do").equals("endured");
                answer = isEnd ? peer.endurance.end() : "{\"nanos\":" + peer.obey(order) + "}";
            } catch (Exception error) {
                String said = String.valueOf(error).replaceAll("[^ -~]", " ").replace("\\", "/").replace("\"", "'");
                answer = "{\"error\":\"" + said + "\"}";
            }
            System.out.println(answer);
        }
        System.exit(0);
    }
}
