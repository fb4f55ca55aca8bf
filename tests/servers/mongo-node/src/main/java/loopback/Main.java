package loopback;

import de.bwaldvogel.mongo.MongoServer;
import de.bwaldvogel.mongo.MongoVersion;
import de.bwaldvogel.mongo.backend.memory.MemoryBackend;

import java.util.List;

/** {@code Main PORT}: serves from memory on 127.0.0.1 until it is told to stop. */
public final class Main {
    public static void main(String[] args) throws InterruptedException {
        var server = new MongoServer(new MemoryBackend().version(new Named()));
        server.bind("127.0.0.1", Integer.parseInt(args[0]));
        Runtime.getRuntime().addShutdownHook(new Thread(server::shutdownNow, "stop"));
        Thread.currentThread().join();
    }

    /** The oldest release that today's drivers talk to; its own 5.0 names itself by the wire of an older one. */
    private static final class Named implements MongoVersion {
        @Override
        public List<Integer> getVersionArray() {
            return List.of(4, 4, 0);
        }

        @Override
        public int getWireVersion() {
            return 9;
        }
    }

    private Main() {}
}
