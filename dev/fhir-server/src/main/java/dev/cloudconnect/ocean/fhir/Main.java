package dev.cloudconnect.ocean.fhir;

import ca.uhn.fhir.rest.server.RestfulServer;
import java.nio.file.Path;
import org.apache.catalina.LifecycleException;
import org.apache.catalina.connector.Connector;
import org.apache.catalina.startup.Tomcat;
import org.springframework.context.annotation.AnnotationConfigApplicationContext;

/**
 * A FHIR R4 server on the loopback address, with an empty database in memory.
 *
 * <p>Prints one line, {@code READY <base URL>}, once it answers. Tomcat keeps an empty work folder in the working directory.
 *
 * <p>Usage: {@code java -jar ocean-fhir-server.jar [once]}. The kernel chooses a free port. With {@code once} it ends as
 * soon as it is ready: that proves a build, and lets the virtual machine archive the classes it has loaded.
 */
public final class Main {

    private static final String LOOPBACK = "127.0.0.1";
    private static final String PATH = "/fhir";
    private static final int LARGEST_BODY_BYTES = 32 * 1024 * 1024;

    private Main() {}

    /** Starts the server, which runs until it is told to end by a signal. */
    public static void main(String[] arguments) throws LifecycleException {
        var beans = new AnnotationConfigApplicationContext(Storage.class);
        Tomcat tomcat = serve(Endpoint.over(beans));
        System.out.printf("READY http://%s:%d%s%n", LOOPBACK, tomcat.getConnector().getLocalPort(), PATH);
        if (arguments.length == 0) {
            tomcat.getServer().await();
        }
        // Threads of the storage would keep the virtual machine alive.
        System.exit(0);
    }

    private static Tomcat serve(RestfulServer fhir) throws LifecycleException {
        String base = Path.of("").toAbsolutePath().toString();
        Connector connector = new Connector();
        connector.setProperty("address", LOOPBACK);
        connector.setPort(0);
        connector.setMaxPostSize(LARGEST_BODY_BYTES);
        Tomcat tomcat = new Tomcat();
        tomcat.setBaseDir(base);
        tomcat.setConnector(connector);
        var web = tomcat.addContext("", base);
        Tomcat.addServlet(web, "fhir", fhir).setLoadOnStartup(1);
        web.addServletMappingDecoded(PATH + "/*", "fhir");
        tomcat.start();
        return tomcat;
    }
}
