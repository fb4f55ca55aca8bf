package loopback;

import org.elasticsearch.common.logging.LogConfigurator;
import org.elasticsearch.common.settings.Settings;
import org.elasticsearch.env.Environment;
import org.elasticsearch.node.LoopbackNode;
import org.elasticsearch.transport.netty4.Netty4Plugin;

import java.nio.file.Path;
import java.util.List;
import java.util.concurrent.TimeUnit;

/** {@code Main PORT HOME [setting=value ...]}: runs one node on 127.0.0.1 until it is told to stop. */
public final class Main {
    public static void main(String[] args) throws Exception {
        Settings.Builder settings = Settings.builder()
            .put("path.home", Path.of(args[1]).toAbsolutePath())
            .put("cluster.name", "loopback")
            .put("node.name", "loopback")
            .put("discovery.type", "single-node")
            .put("http.host", "127.0.0.1")
            .put("http.port", args[0])
            .put("transport.host", "127.0.0.1")  // cannot be left out; nobody talks to it
            .put("transport.port", 0)
            .put("cluster.routing.allocation.disk.threshold_enabled", false);  // a full disk must not block writes
        for (String extra : List.of(args).subList(2, args.length)) {
            int at = extra.indexOf('=');
            settings.put(extra.substring(0, at), extra.substring(at + 1));
        }

        LogConfigurator.configureESLogging();  // the server's loggers have no implementation before this
        var node = new LoopbackNode(
            new Environment(settings.build(), null),
            List.of(Netty4Plugin.class, CodeAnalysisPlugin.class, RootPlugin.class));
        Runtime.getRuntime().addShutdownHook(new Thread(() -> stop(node), "stop"));
        node.start();
        Thread.currentThread().join();
    }

    private static void stop(LoopbackNode node) {
        try {
            node.prepareForClose();
            node.close();
            node.awaitClose(20, TimeUnit.SECONDS);
        } catch (Exception e) {
            e.printStackTrace();
        }
    }

    private Main() {}
}
